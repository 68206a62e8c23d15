package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/facts"
)

// addressKinds are about where the virtual addresses are on this host.
var addressKinds = []Kind{
	{"vip-mask", Fault, "the kernel takes the whole network for this host's own and reaches none of its neighbours"},
	{"vip-on-segment", Fault, "this host answers ARP for the address in its director's place: clients talk to it past the director"},
	{"vip-missing", Fault, "the kernel drops what the director forwards, for the address is not its own"},
	{"vip-left-behind", Fault, "two machines have the address as soon as the other director takes over"},
	{"dad-failed", Fault, "the kernel neither answers for the address nor sends from it"},
	{"vip-foreign", Fault, "haldir never removes an address that somebody else set: it stays here when the other director takes over"},
}

func (p *patient) addresses() {
	p.realServerAddresses()
	p.directorAddresses()
	p.refused()
}

// refused looks for addresses of which the kernel found another owner.
func (p *patient) refused() {
	for _, a := range p.Host.Addresses {
		addr := a.Prefix.Addr()
		_, virtual := p.directs(addr)
		_, hidden := p.hiddenVIPs()[addr]
		real := slices.ContainsFunc(p.duties, func(d duty) bool { return d.real.Address == addr })
		if a.Refused && (virtual || hidden || real) {
			p.found("dad-failed", fmt.Sprintf("ip address shows %s with the flag dadfailed", a.Address),
				fmt.Sprintf("haldir arp %s shows who else has it; when that is gone: ip address del %s dev %s, and add it again", addr, a.Prefix, a.Interface),
				"another station had %s when it was set on %s", addr, a.Interface)
		}
	}
}

func (p *patient) realServerAddresses() {
	for _, vip := range p.sortedHidden() {
		service := p.hiddenVIPs()[vip]
		owned := p.Host.Has(vip)
		if len(owned) == 0 && p.Host.Addresses != nil {
			if _, director := p.directs(vip); director && p.Status != nil {
				continue // the backup of a two-box pair: by its role, not by this rule
			}
			p.found("vip-missing",
				fmt.Sprintf("no interface has %s, and service %s forwards to this host by %s", vip, service.Name, service.Forward),
				"haldir realserver apply",
				"%s is not on this host", vip)
		}
		for _, a := range owned {
			p.hiddenAddress(a)
		}
	}
}

func (p *patient) hiddenAddress(a facts.Address) {
	link, ok := p.Host.Link(a.Interface)
	if !ok {
		return
	}
	evidence := "ip address shows " + a.Address.String()
	router, director := p.directs(a.Prefix.Addr())
	switch {
	case answers(link) && director && byUs(a) && p.answersOn(router.Interface, a):
		// As a director: directorAddresses has the rest.
	case answers(link):
		p.found("vip-on-segment", evidence,
			fmt.Sprintf("ip address del %s dev %s, and remove it from the system's network configuration; then haldir realserver apply", a.Prefix, a.Interface),
			"%s is on %s, which answers ARP for it", a.Prefix.Addr(), a.Interface)
	case a.Prefix.Bits() < a.Prefix.Addr().BitLen():
		p.found("vip-mask", evidence,
			fmt.Sprintf("ip address del %s dev %s; then haldir realserver apply, which sets /%d", a.Prefix, a.Interface, a.Prefix.Addr().BitLen()),
			"%s on %s has the mask of a network", a.Prefix, a.Interface)
	}
}

func (p *patient) sortedHidden() []netip.Addr {
	var list []netip.Addr
	for vip := range p.hiddenVIPs() {
		list = append(list, vip)
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

func (p *patient) directorAddresses() {
	for _, v := range p.routers {
		for _, prefix := range v.Addresses {
			for _, a := range p.Host.Has(prefix.Addr()) {
				p.directorAddress(v, a)
			}
		}
	}
}

func (p *patient) directorAddress(v config.VRRP, a facts.Address) {
	link, ok := p.Host.Link(a.Interface)
	if !ok || !answers(link) {
		return // hidden on lo or a tunnel: as a real server
	}
	evidence := fmt.Sprintf("ip -d address shows %s, with %s", a.Address, tag(a))
	switch {
	case !byUs(a):
		if _, hidden := p.hiddenVIPs()[a.Prefix.Addr()]; hidden {
			return // reported as vip-on-segment
		}
		p.found("vip-foreign", evidence,
			fmt.Sprintf("find out who set it (system's network configuration, keepalived, a script) and stop that; then ip address del %s dev %s",
				a.Prefix, a.Interface),
			"%s is on %s, and not by haldir", a.Prefix.Addr(), a.Interface)
	case p.Status == nil:
		p.found("vip-left-behind", evidence+"; no daemon answers",
			"start haldir, or haldir cleanup to take the address away",
			"%s was left on %s by a haldir that runs no more", a.Prefix.Addr(), a.Interface)
	}
}

// tag says who put an address where it is, as far as the kernel knows.
func tag(a facts.Address) string {
	switch {
	case byUs(a):
		return "the tag of haldir"
	case a.Proto == 0:
		return "no tag"
	}
	return fmt.Sprintf("the tag %#x, which is not haldir's", a.Proto)
}
