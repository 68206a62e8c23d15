package realserver

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
)

// Desired derives what host needs for every service of cfg that lists one of
// its addresses as a real server. Where none does, the error wraps ErrNoService
// and lists the host's addresses.
func Desired(cfg *config.Config, host Host) (State, error) {
	interfaces := map[netip.Addr][]string{}
	for _, a := range host.Addresses {
		interfaces[a.Address] = append(interfaces[a.Address], a.Interface)
	}
	n := newNeeds(host.MTU)
	found := false
	for _, service := range cfg.Services {
		for _, listen := range service.Listen {
			at := service.At(listen)
			for _, server := range at.Real {
				if server.Local() {
					continue // every host has that address
				}
				for _, ifname := range interfaces[server.Address] {
					found = true
					if err := n.add(at, server, ifname); err != nil {
						return State{}, err
					}
				}
			}
		}
	}
	if !found {
		return State{}, fmt.Errorf("%w (it has %s)", ErrNoService, host)
	}
	state := n.state(cfg.VIPs())
	state.Directs = slices.ContainsFunc(cfg.VRRP, func(v config.VRRP) bool { return v.Priority != 0 })
	if !state.Directs {
		state.silence()
	}
	return state, nil
}

// needs gathers items, each with the services that ask for it.
type needs struct {
	sysctls   map[setting]names
	tunnels   map[string]names
	addresses map[netif.Address]names
	replies   map[netip.Addr]names
	redirects map[netif.Redirect]names
	clamps    map[netif.Clamp]names
	ports     map[netip.AddrPort]names
	own       map[HostAddress]bool
	endpoints map[netip.AddrPort]bool
	mtu       map[string]int // of the host's interfaces
	room      map[string]int // the MTU of tunnels
}

type (
	names   map[string]bool // a set
	setting struct {
		netif.Sysctl
		also string
	}
)

func newNeeds(mtu map[string]int) needs {
	return needs{
		map[setting]names{}, map[string]names{}, map[netif.Address]names{}, map[netip.Addr]names{},
		map[netif.Redirect]names{}, map[netif.Clamp]names{}, map[netip.AddrPort]names{}, map[HostAddress]bool{}, map[netip.AddrPort]bool{},
		mtu, map[string]int{},
	}
}

// add gathers what one service needs, at one listener, of the interface that has
// its real server's address.
func (n needs) add(service config.Service, server config.Real, ifname string) error {
	n.own[HostAddress{Interface: ifname, Address: server.Address}] = true
	switch service.Forward {
	case "dr":
		if service.Redirect {
			n.redirect(service, server)
			break
		}
		n.hide(service, ifname)
		n.hold(service, Loopback)
		n.serve(service, service.Listen...)
	case "tun":
		n.unwrap(service, server, ifname)
	case "nat":
		// A host that follows a redirect replies past the director.
		if server.Address.Is6() {
			n.setIn("net/ipv6/conf/", service, ifname, "accept_redirects", "0", "")
		} else {
			n.set(service, "all", "accept_redirects", "0", "")
			n.set(service, ifname, "accept_redirects", "0", "")
		}
		put(n.replies, server.Address, service)
		for _, listen := range service.Listen {
			n.serve(service, netip.AddrPortFrom(server.Address, cmp.Or(server.Port, listen.Port())))
		}
	default:
		return fmt.Errorf("service %q: a real server cannot be set up for forwarding by %q", service.Name, service.Forward)
	}
	return nil
}

// hide keeps the host silent about addresses that are not the interface's own. In
// IPv6 it is so by itself: neighbour discovery answers for the addresses of the
// interface that was asked (RFC 4861, section 7.2.3), and asks from one of them.
func (n needs) hide(service config.Service, ifname string) {
	if service.Listen[0].Addr().Is6() {
		return
	}
	for _, name := range []string{"all", ifname} {
		// 2 in addition demands that the asker is in the interface's subnet.
		n.set(service, name, "arp_ignore", "1", "2")
		n.set(service, name, "arp_announce", "2", "")
	}
}

// hold puts the service's VIPs on an interface.
func (n needs) hold(service config.Service, ifname string) {
	for _, vip := range service.Addresses() {
		put(n.addresses, netif.Address{Interface: ifname, Prefix: netip.PrefixFrom(vip, vip.BitLen())}, service)
	}
}

// redirect takes the service in without its VIPs.
func (n needs) redirect(service config.Service, server config.Real) {
	for _, listen := range service.Listen {
		to := cmp.Or(server.Port, listen.Port())
		put(n.redirects, netif.Redirect{Protocol: service.Protocol, Address: listen.Addr(), Port: listen.Port(), To: to}, service)
		n.serve(service, netip.AddrPortFrom(server.Address, to))
	}
}

// serve notes where connections of the service end.
func (n needs) serve(service config.Service, at ...netip.AddrPort) {
	if service.Protocol != "tcp" {
		return // others have no connections that the host knows of
	}
	for _, endpoint := range at {
		n.endpoints[endpoint] = true
	}
}

func (n needs) set(service config.Service, ifname, key, value, also string) {
	n.setIn("net/ipv4/conf/", service, ifname, key, value, also)
}

func (n needs) setIn(conf string, service config.Service, ifname, key, value, also string) {
	path := conf + ifname + "/" + key
	put(n.sysctls, setting{netif.Sysctl{Path: path, Value: value}, also}, service)
}

func put[K comparable](m map[K]names, key K, service config.Service) {
	if m[key] == nil {
		m[key] = names{}
	}
	m[key][service.Name] = true
}

func (n needs) state(vips []netip.Addr) State {
	s := State{
		Own: slices.SortedFunc(maps.Keys(n.own), func(a, b HostAddress) int {
			return cmp.Or(strings.Compare(a.Interface, b.Interface), a.Address.Compare(b.Address))
		}),
		Endpoints: slices.SortedFunc(maps.Keys(n.endpoints), netip.AddrPort.Compare),
	}
	for key, services := range n.sysctls {
		s.Sysctls = append(s.Sysctls, Sysctl{key.Sysctl, key.also, services.sorted()})
	}
	slices.SortFunc(s.Sysctls, func(a, b Sysctl) int { return strings.Compare(a.Path, b.Path) })
	for name, services := range n.tunnels {
		s.Tunnels = append(s.Tunnels, TunnelState{name, n.room[name], services.sorted()})
	}
	slices.SortFunc(s.Tunnels, func(a, b TunnelState) int { return strings.Compare(a.Name, b.Name) })
	for port, services := range n.ports {
		s.Ports = append(s.Ports, Port{port, services.sorted()})
	}
	slices.SortFunc(s.Ports, func(a, b Port) int { return a.At.Compare(b.At) })
	for key, services := range n.addresses {
		s.Addresses = append(s.Addresses, Address{key, services.sorted()})
	}
	slices.SortFunc(s.Addresses, func(a, b Address) int {
		return cmp.Or(strings.Compare(a.Interface, b.Interface), a.Prefix.Addr().Compare(b.Prefix.Addr()))
	})
	for key, services := range n.redirects {
		s.Redirects = append(s.Redirects, Redirect{key, services.sorted()})
	}
	slices.SortFunc(s.Redirects, func(a, b Redirect) int { return a.Redirect.Compare(b.Redirect) })
	for key, services := range n.clamps {
		s.Clamps = append(s.Clamps, Clamp{key, services.sorted()})
	}
	slices.SortFunc(s.Clamps, func(a, b Clamp) int { return a.Clamp.Compare(b.Clamp) })
	via := slices.Compact(slices.SortedFunc(slices.Values(vips), netip.Addr.Compare))
	for from, services := range n.replies {
		own := slices.DeleteFunc(slices.Clone(via), func(a netip.Addr) bool { return a.Is4() != from.Is4() })
		s.Replies = append(s.Replies, Reply{from, own, services.sorted()})
	}
	slices.SortFunc(s.Replies, func(a, b Reply) int { return a.From.Compare(b.From) })
	return s
}

// silence has no ARP packet name a VIP, once for each, on whatever interface it is.
func (s *State) silence() {
	about := map[netip.Addr]names{}
	for _, a := range s.Addresses {
		vip := a.Prefix.Addr()
		if !vip.Is4() {
			continue
		}
		if about[vip] == nil {
			about[vip] = names{}
		}
		for _, service := range a.Services {
			about[vip][service] = true
		}
	}
	for vip, services := range about {
		s.Silences = append(s.Silences, Silence{netif.Silence{Address: vip}, services.sorted()})
	}
	slices.SortFunc(s.Silences, func(a, b Silence) int { return a.Silence.Compare(b.Silence) })
}

func (n names) sorted() []string { return slices.Sorted(maps.Keys(n)) }
