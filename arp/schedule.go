package arp

import (
	"fmt"
	"net/netip"
	"time"
)

// Target is an address to be announced on an interface.
type Target struct {
	Interface string
	Address   netip.Addr
}

// String returns "192.0.2.1 on eth0".
func (t Target) String() string { return fmt.Sprintf("%s on %s", t.Address, t.Interface) }

// Schedule says when a target is announced, and how. Every round is two frames, one
// of each form, or one neighbour advertisement for IPv6.
type Schedule struct {
	// Burst is the number of rounds at the start. 0: none, only refreshes.
	Burst int
	// Spacing is the time between two rounds of a burst.
	Spacing time.Duration
	// Again is the time from the first round of the burst to that of a second
	// burst, for switches and neighbours that were not ready. 0: no second burst.
	Again time.Duration
	// Refresh is the time between single rounds after the bursts. 0: none.
	Refresh time.Duration
	// MovingMAC says that the hardware address moves along, so that the switches have
	// to learn it anew, and a former master that answers anybody draws them back. The
	// request form is left out, which its kernel might answer; and the first round is
	// followed by quick ones.
	MovingMAC bool
}

// The rounds that follow the first one of a moving hardware address: each comes after
// twice the time of the one before.
const (
	quickRounds  = 3
	quickSpacing = 20 * time.Millisecond
)

// progress is how far a target has come in its schedule.
type progress struct {
	first time.Time // when the first round of the burst was sent
	quick int       // quick rounds left
	left  int       // rounds left of the present burst
	again bool      // the second burst was begun
	sent  time.Time // when the last round was sent
}

// begin starts the schedule over and says when the first round is due. It
// returns false if there will be none.
func (s Schedule) begin(now time.Time) (progress, time.Time, bool) {
	if s.Burst > 0 && s.MovingMAC {
		return progress{left: s.Burst, quick: quickRounds}, now, true
	}
	if s.Burst > 0 {
		return progress{left: s.Burst}, now, true
	}
	return progress{sent: now}, now.Add(s.Refresh), s.Refresh > 0
}

// advance takes the news that a round was sent and says when the next is due.
// It returns false if there will be none. It counts from when the round was
// sent, not from when it was due, so that delayed rounds do not pile up.
func (s Schedule) advance(p *progress, now time.Time) (time.Time, bool) {
	p.sent = now
	if p.first.IsZero() {
		p.first = now
	}
	if p.quick > 0 {
		p.quick--
		return now.Add(quickSpacing << (quickRounds - 1 - p.quick)), true
	}
	p.left = max(0, min(p.left, s.Burst)-1)
	return s.next(p)
}

// next says when the round after p.sent is due.
func (s Schedule) next(p *progress) (time.Time, bool) {
	switch {
	case p.left > 0:
		return p.sent.Add(s.Spacing), true
	case s.Burst > 0 && s.Again > 0 && !p.again:
		p.again, p.left = true, s.Burst
		second, earliest := p.first.Add(s.Again), p.sent.Add(s.Spacing)
		if second.Before(earliest) {
			second = earliest
		}
		return second, true
	case s.Refresh > 0:
		return p.sent.Add(s.Refresh), true
	}
	return time.Time{}, false
}
