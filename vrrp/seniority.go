package vrrp

import (
	"net/netip"
	"time"
)

// Without preemption whoever was master first stays, also where two masters meet
// because the segment was cut. No advert tells which one that is. But a master that
// took over from a silent one knows whom it displaced: heard again, that one was
// master all the time. So the better of the two gives way to the one it displaced,
// and the lesser one holds out until then. If that does not happen, because the other
// one preempts, or because neither displaced the other, priorities decide.

// holdOut is how long a master holds out against a better one, from the first advert
// that it hears. The better one gives way half an interval after the first that it
// hears, so with the second; one more may be lost.
func holdOut(interval time.Duration) time.Duration { return 3 * interval }

// contest is a meeting with another master. Its zero value is none.
type contest struct{ since, last time.Time }

// heard notes an advert of the other one, and returns how long the meeting lasts.
// Another one begins if no advert was heard for so long that the first had ended.
func (c *contest) heard(now time.Time, interval time.Duration) time.Duration {
	if c.since.IsZero() || now.Sub(c.last) > holdOut(interval) {
		c.since = now
	}
	c.last = now
	return now.Sub(c.since)
}

// holdsOut reports whether a master stays although it hears a better one.
func (m *Machine) holdsOut(now time.Time, from netip.Addr, p *Packet) bool {
	if m.cfg.Preempt || m.leader != nil || p.Priority == OwnerPriority || from == m.displaced {
		return false
	}
	return m.contest.heard(now, p.Interval) < holdOut(p.Interval)
}

// givesBack reports whether a master gives way to a lesser one. That one has had the
// time to hear of us then, and does not give way itself: two that do are none.
func (m *Machine) givesBack(now time.Time, from netip.Addr, p *Packet) bool {
	if m.cfg.Preempt || m.leader != nil || m.cfg.Priority == OwnerPriority || from != m.displaced {
		return false
	}
	return m.contest.heard(now, p.Interval) >= p.Interval/2
}
