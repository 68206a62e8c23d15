package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/facts"
)

// segmentKinds are about what a bounded look at the segment shows.
var segmentKinds = []Kind{
	{"duplicate-vip", Fault, "clients talk to whichever station they heard last"},
	{"vip-answered-by-real-server", Fault, "clients talk to one real server past the director"},
	{"vip-unanswered", Warning, "nobody in the segment reaches the address"},
	{"neighbour-wrong", Warning, "this host sends for the address to a station that does not have it"},
	{"vrid-duplicate", Fault, "two clusters take each other's adverts for their own: one of them has no master, or both their addresses flap"},
	{"two-masters", Fault, "two directors have the addresses at the same time"},
	{"vrrp-mismatch", Warning, "the directors drop each other's adverts or wait for different times"},
	{"vrrp-foreign", Note, "other virtual routers are in this segment; they do no harm"},
}

// Look says what is to be looked at in the segments, for as long as the intervals
// of the routers make it necessary.
func Look(in Input) facts.Look {
	p := newPatient(in)
	look := facts.Look{For: shortestLook}
	for _, v := range p.Config.VRRP {
		for _, prefix := range v.Addresses {
			if name, ok := p.segmentOf(v, prefix.Addr()); ok {
				look.Ask = append(look.Ask, facts.Question{Interface: name, Address: prefix.Addr()})
			}
		}
		if link, ok := p.Host.Link(v.Interface); !ok || !link.Up || link.Loopback || slices.Contains(look.Listen, v.Interface) {
			continue
		}
		look.Listen = append(look.Listen, v.Interface)
		look.For = max(look.For, min(2*v.Interval, longestLook))
	}
	return look
}

const (
	shortestLook = time.Second
	longestLook  = 5 * time.Second
)

// segmentOf is the interface by which this host is in the segment of an address.
func (p *patient) segmentOf(v config.VRRP, addr netip.Addr) (string, bool) {
	for _, a := range p.Host.Addresses {
		link, ok := p.Host.Link(a.Interface)
		if ok && link.Up && !link.Virtual && answers(link) && a.Prefix.Contains(addr) && a.Prefix.Bits() < a.Prefix.Addr().BitLen() {
			return a.Interface, true
		}
	}
	_, director := p.directs(addr)
	link, ok := p.Host.Link(v.Interface)
	return v.Interface, director && ok && link.Up && answers(link)
}

// answersOn reports whether this host answers for an address of its own on an
// interface: from it, or from the one with a virtual MAC address above it.
func (p *patient) answersOn(ifname string, a facts.Address) bool {
	if a.Interface == ifname {
		return true
	}
	above, ok := p.Host.Link(a.Interface)
	link, there := p.Host.Link(ifname)
	return ok && there && above.Virtual && above.Up && above.Parent == link.Index
}

func (p *patient) segment() {
	if p.Segment == nil {
		return
	}
	directory := NewDirectory(p.Input)
	for _, v := range p.Config.Routers() {
		for _, prefix := range v.Addresses {
			name, ok := p.segmentOf(v, prefix.Addr())
			if _, asked := p.Segment.Owners[facts.Question{Interface: name, Address: prefix.Addr()}]; ok && asked {
				p.owners(name, prefix.Addr(), directory)
			}
		}
		p.adverts(v)
	}
	p.foreignAdverts()
}

// owners judges who answered for a virtual address.
func (p *patient) owners(ifname string, vip netip.Addr, directory *Directory) {
	stations := p.Segment.Owners[facts.Question{Interface: ifname, Address: vip}]
	here := slices.ContainsFunc(p.Host.Has(vip), func(a facts.Address) bool { return p.answersOn(ifname, a) })
	var who []string
	if here {
		who = append(who, "this host")
	}
	for _, s := range stations {
		text := s.MAC.String()
		name := directory.Name(s.MAC)
		if name != "" {
			text += " (" + name + ")"
		}
		who = append(who, text)
		if strings.HasPrefix(name, "real server ") && !p.alsoDirector(name) {
			p.found("vip-answered-by-real-server", fmt.Sprintf("asked on %s, %s answers for %s", ifname, text, vip),
				"on that real server: haldir doctor, haldir realserver apply", "%s answers for %s", name, vip)
		}
	}
	switch {
	case len(who) > 1:
		p.found("duplicate-vip", "asked on "+ifname+": "+strings.Join(who, " and "),
			"haldir status on both directors, haldir doctor on the others; take the address away where it does not belong",
			"%d stations have %s", len(who), vip)
	case len(who) == 0:
		p.found("vip-unanswered", fmt.Sprintf("%s was asked for on %s for %s, and nobody answered", vip, ifname, p.Segment.Listened),
			"look at haldir status on the directors", "nobody has %s", vip)
	case !here:
		if mac := p.Host.MACOf(vip); mac != nil && mac.String() != stations[0].MAC.String() {
			p.found("neighbour-wrong", fmt.Sprintf("the neighbour table has %s, and %s answers", mac, who[0]),
				fmt.Sprintf("ip neigh del %s dev %s; then find out why it was learned: arp_announce of a real server, or an announcement that got lost", vip, ifname),
				"this host looks for %s at the wrong station", vip)
		}
	}
}

// alsoDirector reports whether a real server is a director as well, as in a pair of
// two machines, and may hold virtual addresses.
func (p *patient) alsoDirector(name string) bool {
	return strings.Contains(name, "director ") || slices.ContainsFunc(p.Segment.Adverts, func(a facts.Advert) bool {
		return strings.Contains(name+",", " "+a.Source.String()+",")
	})
}

// adverts judges those that were heard for a router of the cluster, of one family.
func (p *patient) adverts(v config.VRRP) {
	var masters []string
	if p.master(v.Name) {
		masters = append(masters, "this host")
	}
	own := addressesOf(v)
	for _, a := range p.Segment.Adverts {
		if a.Interface != v.Interface || a.VRID != v.RouterID || a.Source.Is4() != own[0].Is4() {
			continue
		}
		evidence := fmt.Sprintf("heard on %s: %s, version %d, priority %d, every %s, addresses %s",
			a.Interface, a.Source, a.Version, a.Priority, a.Interval, anyOf(a.Addresses))
		switch {
		case !sameAddresses(own, a.Addresses):
			p.found("vrid-duplicate", evidence+"; ours are "+anyOf(own),
				"give one of the two clusters another router_id, or bring the directors' configurations in line",
				"%s sends adverts of virtual router %d with other addresses than %s", a.Source, a.VRID, v.Name)
			continue
		case a.Version != v.Version || a.Interval != v.Interval:
			p.found("vrrp-mismatch", fmt.Sprintf("%s; ours are version %d, every %s", evidence, v.Version, v.Interval),
				"use the same configuration on both directors", "the adverts of %s for %s differ from this host's configuration", a.Source, v.Name)
		}
		if from := a.Source.String(); a.Priority != 0 && !slices.Contains(masters, from) {
			masters = append(masters, from)
		}
	}
	if len(masters) > 1 {
		p.found("two-masters", "within "+p.Segment.Listened.String()+" adverts came from "+strings.Join(masters, " and "),
			"haldir doctor on both: a firewall, a switch or a wrong configuration keeps their adverts from each other",
			"%s has %d masters", v.Name, len(masters))
	}
}

// addressesOf are those that an advert of a router of one family names; at least one.
func addressesOf(v config.VRRP) []netip.Addr {
	list := make([]netip.Addr, len(v.Addresses))
	for i, prefix := range v.Addresses {
		list[i] = prefix.Addr()
	}
	return list
}

// sameAddresses compares regardless of order.
func sameAddresses(a, b []netip.Addr) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, netip.Addr.Compare)
	slices.SortFunc(b, netip.Addr.Compare)
	return slices.Equal(a, b)
}

func (p *patient) foreignAdverts() {
	var foreign []string
	for _, a := range p.Segment.Adverts {
		ours := slices.ContainsFunc(p.Config.VRRP, func(v config.VRRP) bool { return v.RouterID == a.VRID && v.Interface == a.Interface })
		if text := fmt.Sprintf("virtual router %d of %s on %s", a.VRID, a.Source, a.Interface); !ours && !slices.Contains(foreign, text) {
			foreign = append(foreign, text)
		}
	}
	if len(foreign) > 0 {
		p.found("vrrp-foreign", "heard "+strings.Join(foreign, ", "), "nothing; choose no router_id that is in use",
			"other virtual routers speak in this segment: %d", len(foreign))
	}
}
