package doctor

import (
	"net/netip"
	"slices"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// Input is all that the examination looks at.
type Input struct {
	Host *facts.Host
	// Config is the cluster's; nil if this host has none.
	Config *config.Config
	// Status is the daemon's; nil if none answers.
	Status *control.Status
	// Segment is what a look around showed; nil: nobody looked.
	Segment *facts.Segment
}

// patient is a host under examination.
type patient struct {
	Input
	// routers are those of which this host is a director.
	routers []config.VRRP
	// duties are the services of which this host is a real server.
	duties   []duty
	findings []Finding
}

// duty is one address of this host as a real server of one service.
type duty struct {
	service config.Service
	real    config.Real
	ifname  string
}

func newPatient(in Input) *patient {
	if in.Host == nil {
		in.Host = &facts.Host{}
	}
	if in.Config == nil {
		in.Config = &config.Config{}
	}
	p := &patient{Input: in}
	for _, service := range in.Config.Services {
		for _, real := range servers(service) {
			for _, a := range in.Host.Has(real.Address) {
				p.duties = append(p.duties, duty{service, real, a.Interface})
			}
		}
	}
	for _, v := range in.Config.VRRP {
		// One priority for all nodes does not tell who is a director.
		named := len(v.Priorities.ByNode) > 0
		_, there := in.Host.Link(v.Interface)
		if v.Priority != 0 && there && (named || in.Status != nil || len(p.duties) == 0) {
			p.routers = append(p.routers, v)
		}
	}
	return p
}

// Roles says what the configuration makes of this host, for people.
func Roles(in Input) []string {
	p := newPatient(in)
	var roles []string
	for _, v := range p.routers {
		roles = append(roles, "director of "+v.Name)
	}
	for _, d := range p.duties {
		role := "real server of " + d.service.Name
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return roles
}

// active reports whether this host forwards: what haldir sets when it starts is
// no fault before.
func (p *patient) active() bool {
	return len(p.routers) > 0 && (p.Status != nil || len(p.Host.Table) > 0)
}

// served are the services whose router has this host as a director.
func (p *patient) served() []config.Service {
	var list []config.Service
	for _, s := range p.Config.Services {
		if slices.ContainsFunc(p.routers, func(v config.VRRP) bool { return v.Name == s.VRRP }) {
			list = append(list, s)
		}
	}
	return list
}

// balances reports whether this director has a service of a family.
func (p *patient) balances(four bool) bool {
	return slices.ContainsFunc(p.served(), func(s config.Service) bool { return listens(s, four) })
}

func listens(s config.Service, four bool) bool {
	return slices.ContainsFunc(s.Endpoints(), func(at netip.AddrPort) bool { return at.Addr().Is4() == four })
}

// forwards reports whether this director has a service of the mode and family, by the
// configuration or in the kernel.
func (p *patient) forwards(mode ipvsctl.Forward, four bool) bool {
	if slices.ContainsFunc(p.served(), func(s config.Service) bool { return s.Forward == mode.String() && listens(s, four) }) {
		return true
	}
	for _, s := range p.Host.Table {
		if slices.ContainsFunc(s.Dests, func(d ipvsctl.LiveDest) bool { return d.Forward == mode && d.Key.Address.Is4() == four }) {
			return true
		}
	}
	return false
}

// servers are the other hosts that a service may send clients to.
func servers(s config.Service) []config.Real {
	all := slices.Clone(s.Real)
	if s.Pool.Sorry != nil {
		all = append(all, *s.Pool.Sorry)
	}
	return slices.DeleteFunc(all, config.Real.Local)
}

// holds reports whether a service needs its VIP on the real server.
func holds(s config.Service) bool { return s.Forward == "dr" && !s.Redirect || s.Forward == "tun" }

// serves reports whether packets for a virtual address may come to the real server.
func (d duty) serves(vip netip.Addr) bool {
	s := d.service.At(netip.AddrPortFrom(vip, 0))
	return slices.ContainsFunc(servers(s), func(r config.Real) bool { return r.Address == d.real.Address })
}

// endpoints are those of the service whose packets may come to the real server.
func (d duty) endpoints() []netip.AddrPort {
	return slices.DeleteFunc(slices.Clone(d.service.Endpoints()), func(at netip.AddrPort) bool { return !d.serves(at.Addr()) })
}

// hiddenVIPs are the virtual addresses of which this host has to be a silent owner,
// with the service that first asks for it.
func (p *patient) hiddenVIPs() map[netip.Addr]config.Service {
	vips := map[netip.Addr]config.Service{}
	for _, d := range p.duties {
		if !holds(d.service) {
			continue
		}
		for _, vip := range d.service.Addresses() {
			if _, ok := vips[vip]; !ok && d.serves(vip) {
				vips[vip] = d.service
			}
		}
	}
	return vips
}

// answers reports whether the kernel answers ARP on an interface for what is there.
func answers(l netif.Link) bool { return !l.Loopback && !l.NoARP }

// speaking are the interfaces by which somebody could ask this host: up, with
// ARP, and no port of a bridge or bond, which has no addresses of its own.
func (p *patient) speaking() []netif.Link {
	var list []netif.Link
	for _, l := range p.Host.Links {
		if l.Up && answers(l) && l.Master == 0 {
			list = append(list, l)
		}
	}
	return list
}

// directs reports whether this host is a director of the router with the address.
func (p *patient) directs(vip netip.Addr) (config.VRRP, bool) {
	for _, v := range p.routers {
		if slices.ContainsFunc(v.Addresses, func(a netip.Prefix) bool { return a.Addr() == vip }) {
			return v, true
		}
	}
	return config.VRRP{}, false
}

// master reports whether the daemon holds the addresses of a router, by its own
// word.
func (p *patient) master(router string) bool {
	return p.Status != nil && slices.ContainsFunc(p.Status.Routers, func(r control.RouterStatus) bool {
		return r.Name == router && r.State == "master"
	})
}

// byUs reports whether haldir put an address where it is.
func byUs(a facts.Address) bool { return a.Proto == netif.Protocol }
