package doctor

import (
	"fmt"
	"net/netip"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// reachKinds are about whether what a director forwards can arrive.
var reachKinds = []Kind{
	{"dr-across-router", Fault, "direct routing rewrites the MAC alone: the router in between sends the packet back to the director, whose address it carries"},
	{"port-mismatch", Fault, "direct routing and tunnelling rewrite no port: the packet arrives for the service's port, where nobody listens"},
	{"no-listener", Fault, "the kernel refuses the clients' connections that the director sends here"},
	{"real-unreachable", Fault, "the director cannot send anything to this real server"},
}

func (p *patient) reach() {
	p.realServersInReach()
	p.portsInTable()
	p.listening()
}

func (p *patient) realServersInReach() {
	for _, s := range p.served() {
		for _, real := range servers(s) {
			way, ok := p.Host.Ways[real.Address]
			switch {
			case !ok && p.Host.Ways != nil:
				p.found("real-unreachable", "ip route get "+real.Address.String()+" names no route",
					"give this host a route to it", "there is no route to real server %s of %s", real.Address, s.Name)
			case ok && s.Forward == "dr" && way.Gateway.IsValid():
				p.found("dr-across-router", fmt.Sprintf("the way to %s is via %s on %s", real.Address, way.Gateway, way.Interface),
					`put the real server into a segment of this director, or use forward = "tun"`,
					"real server %s of %s is behind a router, and the service forwards by dr", real.Address, s.Name)
			}
		}
	}
}

// portsInTable looks at the kernel's table, whoever made it: the configuration
// is refused if its ports differ.
func (p *patient) portsInTable() {
	for _, s := range p.Host.Table {
		if s.Key.FWMark != 0 || s.Key.Port == 0 {
			continue
		}
		for _, d := range s.Dests {
			if (d.Forward == ipvsctl.DR || d.Forward == ipvsctl.TUN) && d.Key.Port != s.Key.Port {
				p.found("port-mismatch", fmt.Sprintf("the IPVS table has %s with real server %s by %s", s.Key, d.Key, d.Forward),
					fmt.Sprintf("let the real server listen on port %d, or forward by nat", s.Key.Port),
					"%s is to reach port %d of %s, which %s cannot do", s.Key, d.Key.Port, d.Key.Address, d.Forward)
			}
		}
	}
}

func (p *patient) listening() {
	if p.Host.Listeners == nil {
		return
	}
	seen := map[string]bool{}
	for _, d := range p.duties {
		if d.service.Protocol != "tcp" && d.service.Protocol != "udp" {
			continue
		}
		for _, listen := range d.endpoints() {
			at := destination(d, listen)
			key := d.service.Protocol + at.String()
			if seen[key] || at.Port() == 0 || p.listens(d.service.Protocol, at) {
				continue
			}
			seen[key] = true
			p.found("no-listener", p.listenersAt(d.service.Protocol, at.Port()),
				fmt.Sprintf("start the server, and let it listen on %s or on every address", at),
				"nothing listens on %s %s for service %s", d.service.Protocol, at, d.service.Name)
		}
	}
}

// destination is where packets for a listener of the service arrive on this host.
func destination(d duty, listen netip.AddrPort) netip.AddrPort {
	if holds(d.service) {
		return listen
	}
	return realPort(d.real, listen)
}

func realPort(real config.Real, listen netip.AddrPort) netip.AddrPort {
	if real.Port != 0 {
		return netip.AddrPortFrom(real.Address, real.Port)
	}
	return netip.AddrPortFrom(real.Address, listen.Port())
}

func (p *patient) listens(protocol string, at netip.AddrPort) bool {
	for _, l := range p.Host.Listeners {
		every := l.At.Addr().IsUnspecified() && (l.At.Addr().Is6() || at.Addr().Is4())
		if l.Protocol == protocol && l.At.Port() == at.Port() && (every || l.At.Addr() == at.Addr()) {
			return true
		}
	}
	return false
}

func (p *patient) listenersAt(protocol string, port uint16) string {
	var at []facts.Listener
	for _, l := range p.Host.Listeners {
		if l.Protocol == protocol && l.At.Port() == port {
			at = append(at, l)
		}
	}
	if len(at) == 0 {
		return fmt.Sprintf("no %s socket waits on port %d", protocol, port)
	}
	text := fmt.Sprintf("on %s port %d listen only", protocol, port)
	for _, l := range at {
		text += " " + l.At.Addr().String()
	}
	return text
}
