package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/firewall"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// markKinds are about the marks by which the kernel knows services.
var markKinds = []Kind{
	{"mark-missing", Fault, "the packets are not balanced: the service knows them by their mark"},
}

// marks follows packets for services that the kernel knows by mark to where IPVS
// looks at them.
func (p *patient) marks() {
	if !p.active() {
		return
	}
	for _, s := range p.served() {
		if s.FWMark != 0 && p.Host.Firewall != nil {
			p.markOf(s)
		}
	}
}

// markOf looks at the ends of each range of a service whose family the kernel has.
func (p *patient) markOf(s config.Service) {
	for _, r := range s.Marked {
		loaded := slices.ContainsFunc(p.Host.Table, func(l ipvsctl.LiveService) bool {
			return l.Key.FWMark == s.FWMark && l.Key.Family == ipvsctl.FamilyOf(r.From)
		})
		for _, at := range []netip.AddrPort{netip.AddrPortFrom(r.From, r.FromPort), netip.AddrPortFrom(r.To, r.ToPort)} {
			if loaded && p.unmarked(s, at) {
				return
			}
		}
	}
}

func (p *patient) unmarked(s config.Service, at netip.AddrPort) bool {
	router, _ := p.directs(at.Addr())
	m := p.Host.Firewall.Follow(firewall.Prerouting, firewall.Packet{
		In: router.Interface, Source: somebody(at.Addr()), AnySource: true, Destination: at.Addr(),
		Protocol: protocolNumbers[s.Protocol], SourcePort: anyPort, Port: at.Port(), State: firewall.New,
	}).Mark
	if m.Unclear || m.Value == s.FWMark {
		return false
	}
	evidence, table := "no rule at the hook prerouting marks them", "ip haldir"
	if at.Addr().Is6() {
		table = "ip6 haldir"
	}
	remedy := "systemctl reload haldir, which sets its rules; look at nft list table " + table
	if m.By != "" {
		evidence = fmt.Sprintf("%s sets mark %d", m.By, m.Value)
		remedy = "let that rule leave them alone: look at nft -a list ruleset, or iptables -t mangle -L -v -n"
	}
	p.found("mark-missing", evidence, remedy, "packets for %s (service %s) do not have mark %d", at, s.Name, s.FWMark)
	return true
}
