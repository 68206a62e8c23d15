package doctor

import (
	"fmt"
	"net/netip"

	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/internal/netif"
)

// arpKinds are about what ARP tells the segment of this host.
var arpKinds = []Kind{
	{"arp-ignore", Fault, "this host answers ARP for the virtual address on its loopback or tunnel: whoever hears it first bypasses the director"},
	{"arp-ignore-deaf", Fault, "neighbours do not find this host"},
	{"arp-announce", Fault, "the first reply to a client makes this host ask for its neighbour in the virtual address's name, and all who hear it send to this host"},
	{"arp-flux", Warning, "each of the interfaces answers ARP for the other's addresses, and neighbours flap between the two"},
	{"director-silent", Fault, "nobody is told where the virtual address is while this host is master"},
}

func (p *patient) arp() {
	p.hiding()
	p.flux()
	p.directorARP()
}

// hiding checks that what is on lo or a tunnel stays hidden.
func (p *patient) hiding() {
	var hidden []facts.Address
	for _, vip := range p.sortedHidden() {
		for _, a := range p.Host.Has(vip) {
			if link, ok := p.Host.Link(a.Interface); ok && !answers(link) && vip.Is4() {
				hidden = append(hidden, a)
			}
		}
	}
	if len(hidden) == 0 {
		return
	}
	for _, link := range p.speaking() {
		if ignore, ok := p.Host.Larger(link.Name, "arp_ignore"); ok {
			p.ignore(link, ignore, hidden)
		}
		if announce, ok := p.Host.Larger(link.Name, "arp_announce"); ok && announce < 2 {
			p.found("arp-announce", p.effective(link.Name, "arp_announce"), bothSysctls(link.Name, "arp_announce", 2),
				"arp_announce is %d on %s, which lets %s into ARP requests", announce, link.Name, hidden[0].Prefix.Addr())
		}
	}
}

func (p *patient) ignore(link netif.Link, ignore int, hidden []facts.Address) {
	evidence := p.effective(link.Name, "arp_ignore")
	remedy := bothSysctls(link.Name, "arp_ignore", 1)
	switch {
	case ignore == 8:
		p.found("arp-ignore-deaf", evidence, remedy, "arp_ignore is 8 on %s: no ARP request is answered at all", link.Name)
	case ignore == 1 || ignore == 2:
	case ignore == 3:
		for _, a := range hidden {
			if a.Scope != "host" {
				p.found("arp-ignore", evidence+fmt.Sprintf("; %s has scope %s", a.Address, a.Scope), remedy,
					"arp_ignore is 3 on %s, which hides addresses of scope host alone, and %s is none", link.Name, a.Prefix.Addr())
				return
			}
		}
	default:
		p.found("arp-ignore", evidence, remedy,
			"arp_ignore is %d on %s, so it answers for %s on %s", ignore, link.Name, hidden[0].Prefix.Addr(), hidden[0].Interface)
	}
}

// effective shows both values of which the kernel takes the larger.
func (p *patient) effective(name, key string) string {
	conf := "net.ipv4.conf."
	return fmt.Sprintf("%sall.%s = %s, %s%s.%s = %s; the larger counts", conf, key, p.Host.Sysctls["net/ipv4/conf/all/"+key],
		conf, name, key, p.Host.Sysctls["net/ipv4/conf/"+name+"/"+key])
}

func bothSysctls(name, key string, value int) string {
	return fmt.Sprintf("haldir realserver apply, or sysctl -w net.ipv4.conf.all.%s=%d net.ipv4.conf.%s.%s=%d", key, value, name, key, value)
}

// flux looks for two interfaces in one segment.
func (p *patient) flux() {
	first := map[netip.Prefix]string{}
	for _, a := range p.Host.Addresses {
		prefix := a.Prefix.Masked()
		link, ok := p.Host.Link(a.Interface)
		if !ok || !link.Up || !answers(link) || link.Master != 0 || !prefix.Addr().Is4() || prefix.Bits() > 30 {
			continue
		}
		other, seen := first[prefix]
		if !seen {
			first[prefix] = a.Interface
			continue
		}
		if other == a.Interface || p.quiet(other) && p.quiet(a.Interface) {
			continue
		}
		p.found("arp-flux",
			fmt.Sprintf("both have an address in %s; %s; %s", prefix, p.effective(other, "arp_ignore"), p.effective(a.Interface, "arp_filter")),
			fmt.Sprintf("sysctl -w net.ipv4.conf.%s.arp_ignore=1 net.ipv4.conf.%s.arp_ignore=1", other, a.Interface),
			"%s and %s are in one segment, and each answers for the other", other, a.Interface)
		return
	}
}

// quiet reports whether an interface answers for its own addresses alone.
func (p *patient) quiet(name string) bool {
	ignore, ok := p.Host.Larger(name, "arp_ignore")
	filter, okFilter := p.Host.Larger(name, "arp_filter")
	return !ok || !okFilter || ignore > 0 || filter > 0
}

// directorARP looks for what keeps a master from answering for its addresses.
func (p *patient) directorARP() {
	for _, v := range p.routers {
		link, ok := p.Host.Link(v.Interface)
		if !ok || len(v.Addresses) == 0 {
			continue
		}
		if link.NoARP {
			p.found("director-silent", "ip link shows NOARP on "+v.Interface, "ip link set "+v.Interface+" arp on",
				"%s does no ARP, and %s is to be reached by it", v.Interface, v.Addresses[0].Addr())
			continue
		}
		ignore, ok := p.Host.Larger(v.Interface, "arp_ignore")
		single := v.Addresses[0].Addr().Is4() && v.Addresses[0].Bits() == 32
		if ok && (ignore == 8 || ignore == 2 && single) {
			p.found("director-silent", p.effective(v.Interface, "arp_ignore"), fmt.Sprintf(
				"sysctl -w net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.%s.arp_ignore=1", v.Interface),
				"arp_ignore is %d on %s, which keeps it from answering for %s", ignore, v.Interface, v.Addresses[0])
		}
	}
}
