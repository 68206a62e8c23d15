package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/haldir-lb/haldir/internal/netif"
)

// pathKinds are about the ways that packets come and go.
var pathKinds = []Kind{
	{"rp-filter-tunnel", Fault, "the kernel drops what comes out of the tunnel, since the way back to the client is another one"},
	{"rp-filter-path", Fault, "the kernel drops packets of clients outside the segment, since the way back to them is by another interface"},
	{"nat-bypass", Fault, "replies reach clients with the real server's own address as their source, and clients drop them"},
	{"no-way-back", Warning, "clients outside the segment get no answer from this host"},
}

func (p *patient) paths() {
	p.reversePath()
	p.replyPath()
}

// strict is the value of rp_filter that demands the same interface both ways.
const strict = 1

func (p *patient) reversePath() {
	for _, vip := range p.sortedHidden() {
		for _, a := range p.Host.Has(vip) {
			link, ok := p.Host.Link(a.Interface)
			filter, read := p.Host.Larger(a.Interface, "rp_filter")
			if ok && read && vip.Is4() && !link.Loopback && !answers(link) && filter == strict {
				p.found("rp-filter-tunnel", p.effective(a.Interface, "rp_filter"),
					fmt.Sprintf("haldir realserver apply, or sysctl -w net.ipv4.conf.%s.rp_filter=2", a.Interface),
					"rp_filter is strict on %s, by which packets for %s come", a.Interface, vip)
			}
		}
	}
	for _, name := range p.entrances() {
		filter, ok := p.Host.Larger(name, "rp_filter")
		if !ok || filter != strict {
			continue
		}
		for _, route := range best(p.Host.Routes, netip.IPv4Unspecified()) {
			if route.Interface == name {
				continue
			}
			p.found("rp-filter-path",
				fmt.Sprintf("%s; the default route is by %s", p.effective(name, "rp_filter"), route.Interface),
				fmt.Sprintf("sysctl -w net.ipv4.conf.%s.rp_filter=2", name),
				"rp_filter is strict on %s, and the default route leads out by %s", name, route.Interface)
			break
		}
	}
}

// entrances are the interfaces by which packets of clients come in, IPv4.
func (p *patient) entrances() []string {
	var names []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	if len(p.served()) > 0 {
		for _, v := range p.routers {
			add(v.Interface)
		}
	}
	for _, d := range p.duties {
		if d.service.Forward == "dr" && d.real.Address.Is4() {
			add(d.ifname)
		}
	}
	return names
}

// best returns the default routes of the address's family that the kernel uses.
func best(routes []netif.Route, family netip.Addr) []netif.Route {
	var list []netif.Route
	for _, r := range routes {
		same := !r.Gateway.IsValid() || r.Gateway.Is4() == family.Is4()
		if same && (len(list) == 0 || r.Metric == list[0].Metric) {
			list = append(list, r)
		}
	}
	return list
}

func (p *patient) replyPath() {
	if p.Host.Routes == nil && len(p.Host.Unknown) > 0 {
		return
	}
	vips := p.Config.VIPs()
	reported := map[netip.Addr]bool{}
	missing := map[bool]bool{}
	for _, d := range p.duties {
		if d.service.Forward != "nat" {
			for _, at := range d.endpoints() {
				if four := at.Addr().Is4(); len(best(p.Host.Routes, at.Addr())) == 0 && !missing[four] {
					missing[four] = true
					p.found("no-way-back", "the main table has no default route of "+familyName(four),
						"ip"+familyFlag(four)+" route add default via ROUTER, and the same in the system's network configuration",
						"this real server of %s has no default route of %s", d.service.Name, familyName(four))
				}
			}
			continue
		}
		used := best(p.Host.Routes, d.real.Address)
		if reported[d.real.Address] || throughDirector(used, vips) {
			continue
		}
		reported[d.real.Address] = true
		p.found("nat-bypass", "the default route leads "+hops(used),
			natRemedy(d, vips),
			"replies of NAT service %s do not pass the director", d.service.Name)
	}
}

func familyName(four bool) string {
	if four {
		return "IPv4"
	}
	return "IPv6"
}

// familyFlag is what ip(8) wants to know of the family.
func familyFlag(four bool) string {
	if four {
		return ""
	}
	return " -6"
}

// natRemedy names the addresses of the directors that the real server could reply
// through.
func natRemedy(d duty, vips []netip.Addr) string {
	four := d.real.Address.Is4()
	same := slices.DeleteFunc(slices.Clone(vips), func(a netip.Addr) bool { return a.Is4() != four })
	return fmt.Sprintf("ip%s route replace default via %s, the directors' address in this host's network, and the same in the system's network configuration",
		familyFlag(four), anyOf(same))
}

func throughDirector(used []netif.Route, vips []netip.Addr) bool {
	for _, r := range used {
		through := false
		for _, vip := range vips {
			through = through || r.Gateway == vip
		}
		if !through {
			return false
		}
	}
	return len(used) > 0
}

func hops(routes []netif.Route) string {
	var list []string
	for _, r := range routes {
		if r.Gateway.IsValid() {
			list = append(list, fmt.Sprintf("via %s on %s", r.Gateway, r.Interface))
		} else {
			list = append(list, "on link "+r.Interface)
		}
	}
	if len(list) == 0 {
		return "nowhere: there is none"
	}
	return strings.Join(list, " and ")
}

func anyOf(addrs []netip.Addr) string {
	list := make([]string, len(addrs))
	for i, a := range addrs {
		list[i] = a.String()
	}
	return strings.Join(list, " or ")
}
