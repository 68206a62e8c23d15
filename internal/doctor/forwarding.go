package doctor

import (
	"fmt"
	"slices"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// forwardingKinds are about what the kernel routes and redirects.
var forwardingKinds = []Kind{
	{"forwarding-off", Fault, "the kernel drops the replies of NAT real servers, and clients wait in vain"},
	{"forwarding-needless", Note, "direct routing and tunnelling need no routing: a director that routes passes on whatever is sent to its MAC, and loops it while it is backup"},
	{"send-redirects", Fault, "the director tells real servers and clients of a shorter way, and they talk past it"},
	{"accept-redirects", Fault, "a redirect that this host believes leads the replies of NAT services past the director, and clients get answers from an address they never asked"},
}

func (p *patient) forwarding() {
	p.routing()
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
	if !p.forwards(ipvsctl.NAT) {
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

// replyInterfaces are those by which this director reaches its NAT real servers.
func (p *patient) replyInterfaces() []string {
	var names []string
	for _, s := range p.served() {
		if s.Forward != "nat" {
			continue
		}
		for _, real := range servers(s) {
			way, ok := p.Host.Ways[real.Address]
			if ok && !way.Local && !slices.Contains(names, way.Interface) {
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
		if d.service.Forward != "nat" || seen[d.ifname] {
			continue
		}
		seen[d.ifname] = true
		all, ok := p.Host.Conf("ipv4", "all", "accept_redirects")
		own, okOwn := p.Host.Conf("ipv4", d.ifname, "accept_redirects")
		router, okRouter := p.Host.Conf("ipv4", d.ifname, "forwarding")
		// A host believes them if either says so, a router if both do.
		accepts := all != 0 || own != 0
		if router != 0 {
			accepts = all != 0 && own != 0
		}
		if !ok || !okOwn || !okRouter || !accepts {
			continue
		}
		p.found("accept-redirects",
			fmt.Sprintf("net.ipv4.conf.all.accept_redirects = %d, net.ipv4.conf.%s.accept_redirects = %d", all, d.ifname, own),
			fmt.Sprintf("haldir realserver apply, or sysctl -w net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.%s.accept_redirects=0", d.ifname),
			"this real server of NAT service %s believes redirects on %s", d.service.Name, d.ifname)
	}
}
