package director

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/speaker"
	"github.com/haldir-lb/haldir/internal/track"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

// judgeBound is how long a router that does not run yet waits for the first
// judgement of a tracker with a weight.
const judgeBound = 10 * time.Second

// Readings is what is known of everything that is tracked.
type Readings struct {
	Links   map[linkKey]track.Status
	Health  map[string]healthcheck.Verdict // by target
	Numbers map[string]int                 // by target: the last that could be read
	Pools   map[ipvsctl.ServiceKey]Pool
	// Late is set once judgeBound is over since the configuration was loaded.
	Late bool
}

// linkKey is one way to look at an interface.
type linkKey struct {
	name     string
	up, down time.Duration
}

func linkKeyOf(t config.Tracker) linkKey { return linkKey{t.Subject, t.UpDelay, t.DownDelay} }

// Standings derives the effective priority and eligibility of this node's virtual
// routers, by their names. It is a pure function; before is what it
// said last.
func Standings(c *config.Config, r Readings, before map[string]track.Standing) map[string]track.Standing {
	out := make(map[string]track.Standing)
	for _, v := range c.Routers() {
		if v.Priority != 0 {
			out[v.Name] = track.Judge(v.Priority, factors(c, v, r), before[v.Name], r.Late)
		}
	}
	return out
}

func factors(c *config.Config, v config.VRRP, r Readings) []track.Factor {
	var out []track.Factor
	for _, t := range c.Trackers(v) {
		f := t.Factor()
		f.Status, f.Number = r.read(c, t)
		out = append(out, f)
	}
	return out
}

// read returns what is known of a tracker.
func (r Readings) read(c *config.Config, t config.Tracker) (track.Status, int) {
	switch t.Kind {
	case config.TrackInterface:
		return r.Links[linkKeyOf(t)], 0
	case config.TrackService:
		return r.service(c, t.Subject), 0
	case config.TrackNumber:
		if n, known := r.Numbers[t.Target()]; known {
			return track.Up, n
		}
		return track.Unknown, 0
	}
	switch r.Health[t.Target()].Status {
	case healthcheck.Up:
		return track.Up, 0
	case healthcheck.Down:
		return track.Down, 0
	}
	return track.Unknown, 0
}

// service judges a service by the pools of its listeners: one that lost its quorum
// is enough.
func (r Readings) service(c *config.Config, name string) track.Status {
	status := track.Up
	for _, s := range c.Services {
		if s.Name != name {
			continue
		}
		for _, listen := range s.Listen {
			switch r.Pools[serviceKey(s, listen)].Quorum {
			case QuorumLost:
				return track.Down
			case QuorumUndecided:
				status = track.Unknown
			}
		}
	}
	return status
}

// track adds what is checked for the trackers of this node.
func (p *Probes) track(c *config.Config) {
	for _, v := range c.VRRP {
		if v.Priority == 0 {
			continue
		}
		for _, t := range c.Trackers(v) {
			id := t.Target()
			if id == "" || p.has(id) {
				continue
			}
			// What is not reached by an address has the unspecified one.
			address := netip.IPv4Unspecified()
			if t.Address.IsValid() {
				address = t.Address
			}
			p.users[id] = []string{v.Name}
			p.targets = append(p.targets, healthcheck.Target{
				ID: id, Type: t.Check.Type, Options: t.Check.Options, Address: netip.AddrPortFrom(address, 1),
				Every: t.Check.Every, Timeout: t.Check.Timeout, Rise: t.Check.Rise, Fall: t.Check.Fall,
			})
		}
	}
}

// stand judges the routers anew and tells the speaker what changed. It returns
// when they are to be judged again without any news; zero is never.
func (d *Director) stand(now time.Time) (next time.Time) {
	r, next := d.readings(now)
	before := d.standings
	d.standings = Standings(d.config, r, before)
	for _, router := range d.routers() {
		s, last := d.standings[router.Name], before[router.Name]
		if s.Waiting && !r.Late {
			next = earlier(next, d.loaded.Add(judgeBound))
		}
		if s == last {
			continue
		}
		d.Log.Info("standing", "router", router.Name, "priority", s.Priority, "eligible", s.Eligible, "why", s.Why)
		if d.told {
			d.send(d.Speaker, speaker.KindStanding, router.Name,
				speaker.Standing{Router: router.Name, Priority: router.Priority, Ineligible: router.Ineligible})
		}
	}
	return next
}

// readings gathers what is known of the trackers.
func (d *Director) readings(now time.Time) (r Readings, next time.Time) {
	r = Readings{
		Links: make(map[linkKey]track.Status), Health: d.health, Pools: d.pools,
		Numbers: d.numbers, Late: now.Sub(d.loaded) >= judgeBound,
	}
	used := make(map[linkKey]*track.Debounce)
	for _, v := range d.config.VRRP {
		for _, t := range d.config.Trackers(v) {
			if t.Kind != config.TrackInterface {
				continue
			}
			key := linkKeyOf(t)
			link := d.debounced[key]
			if link == nil {
				link = &track.Debounce{UpDelay: t.UpDelay, DownDelay: t.DownDelay}
			}
			used[key] = link
			// What the first reading did not find is not there.
			if up, known := d.carrier[t.Subject]; known || d.synced {
				link.See(now, up)
			}
			r.Links[key] = link.Status()
			if due, waits := link.Deadline(); waits {
				next = earlier(next, due)
			}
		}
	}
	d.debounced = used
	return r, next
}

// noteNumber keeps the number that a check found, and reports whether it is news.
func (d *Director) noteNumber(v healthcheck.Verdict) bool {
	if v.Reason != track.ReasonNumber {
		return false // it could not be read: the last one stands
	}
	n, err := strconv.Atoi(v.Detail)
	before, known := d.numbers[v.ID]
	if err != nil || known && before == n {
		return false
	}
	d.numbers[v.ID] = n
	return true
}

// tracksLink reports whether a router's standing depends on an interface.
func (d *Director) tracksLink(name string) bool {
	return slices.ContainsFunc(d.config.VRRP, func(v config.VRRP) bool {
		return slices.ContainsFunc(d.config.Trackers(v), func(t config.Tracker) bool {
			return t.Kind == config.TrackInterface && t.Subject == name
		})
	})
}

// withStandings brings the standings into what the speaker is to run.
func (d *Director) withStandings(routers []vrrp.RouterConfig) []vrrp.RouterConfig {
	for i := range routers {
		r := &routers[i]
		s, judged := d.standings[r.Name]
		if !judged {
			continue
		}
		r.Priority = s.Priority
		switch {
		case r.Ineligible != "" || s.Eligible:
		case s.Waiting:
			r.Ineligible = vrrp.ReasonWaiting
		default:
			r.Ineligible = vrrp.ReasonTracker
		}
	}
	return routers
}
