package director

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// Probes is what is checked under a configuration. Services that check the same
// thing in the same way share one target.
type Probes struct {
	targets []healthcheck.Target
	ids     map[healthcheck.Target]string // by the target without its ID
	users   map[string][]string           // names of services, or of a virtual router, by ID
	marks   map[path]uint32
	paths   []ipvsctl.Service // what takes marked packets to one real server each
	seats   map[listener][]seat
}

// listener is one listener of a service.
type listener struct {
	service string
	listen  netip.AddrPort
}

// seat has the targets of a real server at a listener. It is what of would find, at
// a small part of the price.
type seat struct {
	address netip.Addr
	port    uint16
	targets []healthcheck.Target
}

// NewProbes derives what is to be checked.
func NewProbes(cfg *config.Config) *Probes {
	p := &Probes{ids: make(map[healthcheck.Target]string), users: make(map[string][]string), seats: make(map[listener][]seat)}
	taken := make(map[string]int)
	p.layPaths(cfg)
	for _, s := range cfg.Services {
		for _, listen := range s.Listen {
			var seats []seat
			for _, real := range s.At(listen).Real {
				at := seat{address: real.Address, port: real.Port}
				for _, check := range s.ChecksOf(real) {
					at.targets = append(at.targets, p.add(s.Name, p.probe(s, check, real, listen), taken))
				}
				seats = append(seats, at)
			}
			at := listener{s.Name, listen}
			if _, twice := p.seats[at]; twice { // one of them retires
				seats = nil
			}
			p.seats[at] = seats
		}
	}
	p.track(cfg)
	return p
}

// sameProbes reports whether two configurations have the same checked, by the same
// names.
func sameProbes(a, b *config.Config) bool {
	was, now := config.Different(a, b)
	if len(was) != len(now) || len(a.Services) != len(b.Services) || a.MarkBase != b.MarkBase || !reflect.DeepEqual(a.VRRP, b.VRRP) || !reflect.DeepEqual(a.SyncGroups, b.SyncGroups) {
		return false
	}
	for i := range a.Services {
		if a.Services[i].Name != b.Services[i].Name {
			return false // the order decides about names
		}
	}
	for i := range was {
		if !reflect.DeepEqual(probed(was[i]), probed(now[i])) {
			return false
		}
	}
	return true
}

// probed is a service without what its checks have nothing to do with.
func probed(s config.Service) config.Service {
	s.Pool = config.Pool{}
	s.Real = slices.Clone(s.Real)
	for i := range s.Real {
		s.Real[i].Weight, s.Real[i].Upper, s.Real[i].Lower = 0, 0, 0
	}
	return s
}

// add makes a target of t unless there is one. Its name says what is looked at,
// and a number tells those apart that look at the same thing in other ways.
func (p *Probes) add(service string, t healthcheck.Target, taken map[string]int) healthcheck.Target {
	id, there := p.ids[t]
	if !there {
		id = probeName(t)
		if taken[id]++; taken[id] > 1 {
			id += fmt.Sprintf(" #%d", taken[id])
		}
		p.ids[t] = id
		named := t
		named.ID = id
		p.targets = append(p.targets, named)
	}
	if !slices.Contains(p.users[id], service) {
		p.users[id] = append(p.users[id], service)
	}
	t.ID = id
	return t
}

func probeName(t healthcheck.Target) string {
	if t.Mark != 0 {
		return fmt.Sprintf("%s %s via %s", t.Type, t.Address, t.Real)
	}
	if t.Type == "ping" {
		return t.Type + " " + t.Address.Addr().String()
	}
	return t.Type + " " + t.Address.String()
}

// probe is the target of one check, without its ID.
func (p *Probes) probe(s config.Service, c config.Check, real config.Real, listen netip.AddrPort) healthcheck.Target {
	t := probeOf(c, real, listen)
	if c.ThroughVIP {
		way := pathOf(s, c, real, listen)
		t.Mark, t.Real = p.marks[way], t.Address
		t.Address = netip.AddrPortFrom(listen.Addr(), listen.Port())
		if c.Port != 0 && way.port == 0 {
			t.Address = netip.AddrPortFrom(listen.Addr(), c.Port)
		}
	}
	return t
}

func probeOf(c config.Check, real config.Real, listen netip.AddrPort) healthcheck.Target {
	where := c.Where(real, listen)
	if c.Type == "ping" {
		where = netip.AddrPortFrom(where.Addr(), 1) // one for all listeners; nothing looks at the port
	}
	return healthcheck.Target{
		Type: c.Type, Options: c.Options, Address: where,
		Every: c.Every, EveryDoubt: c.EveryDoubt, EveryDown: c.EveryDown, EverySteady: c.EverySteady,
		Timeout: c.Timeout, Rise: c.Rise, Fall: c.Fall, Damping: c.FlapDamping,
	}
}

// at returns the targets by which the i'th real server of s at its listener is
// judged.
func (p *Probes) at(s config.Service, i int, listen netip.AddrPort) []healthcheck.Target {
	seats, real := p.seats[listener{s.Name, listen}], s.Real[i]
	if len(seats) == len(s.Real) && seats[i].address == real.Address && seats[i].port == real.Port {
		return seats[i].targets
	}
	return p.of(s, real, listen)
}

// of returns the targets by which a real server is judged.
func (p *Probes) of(s config.Service, real config.Real, listen netip.AddrPort) []healthcheck.Target {
	checks := s.ChecksOf(real)
	targets := make([]healthcheck.Target, len(checks))
	for i, c := range checks {
		t := p.probe(s, c, real, listen)
		t.ID = p.ids[t]
		targets[i] = t
	}
	return targets
}

// has reports whether there is a target of that name.
func (p *Probes) has(id string) bool { return len(p.users[id]) > 0 }

// judge combines what is believed of a real server by all its targets. The status
// of one that nobody has judged is empty.
func judge(s config.Service, targets []healthcheck.Target, health map[string]healthcheck.Verdict) healthcheck.Verdict {
	if len(targets) == 1 {
		return health[targets[0].ID]
	}
	verdicts := make([]healthcheck.Verdict, len(targets))
	for i, t := range targets {
		verdicts[i] = health[t.ID]
	}
	if s.HealthyWhen == "any" {
		return healthcheck.Any(verdicts)
	}
	return healthcheck.All(verdicts)
}

// believed returns what is believed of t, also if it was looked at in another way
// under an earlier configuration.
func believed(t healthcheck.Target, health map[string]healthcheck.Verdict) (healthcheck.Verdict, bool) {
	v, ok := health[t.ID]
	if !ok {
		v, ok = health[probeName(t)]
		v.ID = t.ID
	}
	return v, ok
}

// ofReal returns the targets by which a real server is judged in any service.
// Without a port, every port will do.
func (p *Probes) ofReal(cfg *config.Config, wanted netip.AddrPort) []healthcheck.Target {
	var found []healthcheck.Target
	for _, s := range cfg.Services {
		for _, listen := range s.Listen {
			for _, real := range s.At(listen).Real {
				key := destKey(real, listen)
				if key.Address != wanted.Addr() || wanted.Port() != 0 && wanted.Port() != key.Port {
					continue
				}
				for _, t := range p.of(s, real, listen) {
					if !slices.Contains(found, t) {
						found = append(found, t)
					}
				}
			}
		}
	}
	return found
}
