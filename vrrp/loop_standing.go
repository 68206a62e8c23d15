package vrrp

import (
	"slices"
	"time"
)

// Standing changes the effective priority, 1..255, of a router and why it is not
// eligible, as Set would do it. A router that the last Set did not name is left
// alone, and so is one that would have priority 0.
func (s *Speaker) Standing(router string, priority uint8, ineligible Reason) {
	s.post(func(now time.Time, l *loop) { l.standing(now, router, priority, ineligible) })
}

func (l *loop) standing(now time.Time, name string, priority uint8, ineligible Reason) {
	i := slices.IndexFunc(l.desired, func(c RouterConfig) bool { return c.Name == name })
	if l.stopping || i < 0 || priority == 0 {
		return
	}
	cfg := &l.desired[i]
	cfg.Priority, cfg.Ineligible = priority, ineligible
	// What is not as desired otherwise gets this with the rest.
	if r := l.routers[name]; r != nil && !r.removing && r.invalid == "" && r.refused == "" && cfg.sameRouter(&r.cfg) {
		l.reconfigure(now, r, cfg)
	}
}

// reconfigure gives a router that stays what it keeps its role with.
func (l *loop) reconfigure(now time.Time, r *router, cfg *RouterConfig) {
	r.refused = ""
	if !cfg.equal(&r.cfg) {
		r.cfg = *cfg
		l.step(now, r, Event{Kind: EventConfigure, Config: cfg})
	}
	// Whoever is in Init on a link that is fit was not eligible before.
	if r.state() == Init && r.link.usable && r.machine != nil && r.cfg.Ineligible == "" {
		l.start(now, r, ReasonEligible)
	}
}
