package doctor

import (
	"fmt"
	"slices"

	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// forwardingKinds are about what the kernel routes and redirects.
var forwardingKinds = []Kind{
	{"forwarding-off", Fault, "the kernel drops the replies of NAT real servers, and clients wait in vain"},
	{"forwarding-needless", Note, "direct routing and tunnelling need no routing: a director that routes passes on whatever is sent to its MAC, and loops it while it is backup"},
	{"ra-ignored", Warning, "this host has no router for IPv6: it takes no notice of their advertisements, since it forwards"},
	{"send-redirects", Fault, "the director tells real servers and clients of a shorter way, and they talk past it"},
	{"accept-redirects", Fault, "a redirect that this host believes leads the replies of NAT services past the director, and clients get answers from an address they never asked"},
}

func (p *patient) forwarding() {
	p.routing()
	p.routing6()
	p.sendRedirects()
	p.acceptRedirects()
}

func (p *patient) routing() {
	if !p.active() {
		return
	}
	global, ok := p.Host.Number("net/ipv4/ip_forward")
	if !ok {
		return
	}
	if !p.forwards(ipvsctl.NAT, true) {
		if global != 0 && len(p.served()) > 0 {
			p.found("forwarding-needless", fmt.Sprintf("net.ipv4.ip_forward = %d", global),
				"sysctl -w net.ipv4.ip_forward=0, unless this host is a router for other reasons",
				"this director routes, and no service needs it")
		}
		return
	}
	for _, name := range p.replyInterfaces() {
		if own, ok := p.Host.Conf("ipv4", name, "forwarding"); ok && own == 0 {
			path := "net.ipv4.conf." + name + ".forwarding"
			p.found("forwarding-off", path+" = 0", "sysctl -w "+path+"=1, or start haldir, which sets it",
				"packets that come in by %s are not forwarded, and NAT services need it", name)
		}
	}
}

// routing6 looks at the switch of IPv6, which all interfaces share, and at what it
// does to Router Advertisements.
func (p *patient) routing6() {
	global, ok := p.Host.Conf("ipv6", "all", "forwarding")
	if !ok || !p.active() || !p.balances(false) {
		return
	}
	needed := p.forwards(ipvsctl.NAT, false)
	switch path := "net.ipv6.conf.all.forwarding"; {
	case needed && global == 0:
		p.found("forwarding-off", path+" = 0", "sysctl -w "+path+"=1, or start haldir, which sets it",
			"packets of IPv6 are not forwarded, and NAT services need it")
	case !needed && global != 0:
		p.found("forwarding-needless", fmt.Sprintf("%s = %d", path, global),
			"sysctl -w "+path+"=0, unless this host is a router for other reasons",
			"this director routes IPv6, and no service needs it")
	}
	if global == 0 || slices.ContainsFunc(p.Host.Routes, func(r netif.Route) bool { return r.Gateway.Is6() }) {
		return
	}
	for _, v := range p.families() {
		accept, ok := p.Host.Conf("ipv6", v.Interface, "accept_ra")
		if path := "net.ipv6.conf." + v.Interface + ".accept_ra"; ok && accept == 1 && v.Addresses[0].Addr().Is6() {
			p.found("ra-ignored", fmt.Sprintf("%s = 1, net.ipv6.conf.all.forwarding = %d, and there is no default route of IPv6", path, global),
				"sysctl -w "+path+"=2", "%s takes no notice of Router Advertisements", v.Interface)
			return
		}
	}
}

// replyInterfaces are those by which this director reaches its NAT real servers, IPv4.
func (p *patient) replyInterfaces() []string {
	var names []string
	for _, s := range p.served() {
		if s.Forward != "nat" {
			continue
		}
		for _, real := range servers(s) {
			way, ok := p.Host.Ways[real.Address]
			if ok && !way.Local && real.Address.Is4() && !slices.Contains(names, way.Interface) {
				names = append(names, way.Interface)
			}
		}
	}
	return names
}

func (p *patient) sendRedirects() {
	if !p.active() || len(p.served()) == 0 {
		return
	}
	seen := map[string]bool{}
	for _, v := range p.routers {
		all, ok := p.Host.Conf("ipv4", "all", "send_redirects")
		own, okOwn := p.Host.Conf("ipv4", v.Interface, "send_redirects")
		// The kernel sends them if either says so.
		if !ok || !okOwn || all == 0 && own == 0 || seen[v.Interface] {
			continue
		}
		seen[v.Interface] = true
		p.found("send-redirects",
			fmt.Sprintf("net.ipv4.conf.all.send_redirects = %d, net.ipv4.conf.%s.send_redirects = %d; either suffices", all, v.Interface, own),
			fmt.Sprintf("sysctl -w net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.%s.send_redirects=0", v.Interface),
			"this director sends redirects on %s", v.Interface)
	}
}

func (p *patient) acceptRedirects() {
	seen := map[string]bool{}
	for _, d := range p.duties {
		family := "ipv4"
		if d.real.Address.Is6() {
			family = "ipv6"
		}
		if d.service.Forward != "nat" || seen[family+d.ifname] {
			continue
		}
		seen[family+d.ifname] = true
		all, ok := p.Host.Conf(family, "all", "accept_redirects")
		own, okOwn := p.Host.Conf(family, d.ifname, "accept_redirects")
		router, okRouter := p.Host.Conf(family, d.ifname, "forwarding")
		if !ok || !okOwn || !okRouter || !accepts(family, all, own, router) {
			continue
		}
		conf := "net." + family + ".conf."
		p.found("accept-redirects",
			fmt.Sprintf("%sall.accept_redirects = %d, %s%s.accept_redirects = %d", conf, all, conf, d.ifname, own),
			fmt.Sprintf("haldir realserver apply, or sysctl -w %sall.accept_redirects=0 %s%s.accept_redirects=0", conf, conf, d.ifname),
			"this real server of NAT service %s believes redirects on %s", d.service.Name, d.ifname)
	}
}

// accepts reports whether the kernel believes redirects. Of IPv4 a host does if all
// or the interface says so, a router if both do; of IPv6 the interface decides, and a
// router believes none.
func accepts(family string, all, own, router int) bool {
	switch {
	case family == "ipv6":
		return own != 0 && router == 0
	case router != 0:
		return all != 0 && own != 0
	}
	return all != 0 || own != 0
}
