package netif

import "slices"

// Forwarding6 is the switch of forwarding IPv6. There is none for one interface.
const Forwarding6 = "net/ipv6/conf/all/forwarding"

// keepAdvertisements adds to want, if that switches Forwarding6 on, what keeps
// interfaces on accepting Router Advertisements that accept them now: an interface
// that forwards does so only with accept_ra = 2, and switching without that first
// also takes away the default routes that were learned (addrconf_fixup_forwarding
// and rt6_purge_dflt_routers in the kernel). It may be repeated.
func (u undo) keepAdvertisements(want []Sysctl) ([]Sysctl, error) {
	at := slices.Index(want, Sysctl{Forwarding6, "1"})
	if at < 0 {
		return want, nil
	}
	names, err := u.sys.interfaces("net/ipv6/conf")
	if err != nil {
		return nil, err
	}
	var first []Sysctl
	for _, name := range names {
		path := "net/ipv6/conf/" + name + "/"
		if name == "all" || slices.ContainsFunc(want, func(s Sysctl) bool { return s.Path == path+"accept_ra" }) {
			continue
		}
		accept, err := u.sys.readSysctl(path + "accept_ra")
		if err != nil {
			return nil, err
		}
		forwarding, err := u.sys.readSysctl(path + "forwarding")
		if err != nil {
			return nil, err
		}
		// Where 2 is read it is ours, or it makes no difference.
		if accept == "2" || accept == "1" && forwarding == "0" {
			first = append(first, Sysctl{path + "accept_ra", "2"})
		}
	}
	return slices.Concat(want[:at], first, want[at:]), nil
}
