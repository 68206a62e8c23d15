package director

import (
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
)

// PoolState is how a pool as a whole is doing.
type PoolState string

// The states of a pool.
const (
	// PoolUndecided: servers that are not judged yet decide about the quorum.
	PoolUndecided PoolState = "undecided"
	PoolOK        PoolState = "ok"
	// PoolBelow: the quorum is lost. Whoever is up serves.
	PoolBelow PoolState = "below quorum"
	// PoolSorry: the quorum is lost, and the sorry server takes the new connections.
	PoolSorry PoolState = "sorry"
	// PoolPanic: so many servers are down that the checks are more likely wrong than
	// the servers. Nobody is taken out for being down.
	PoolPanic PoolState = "panic"
)

// Quorum is whether a pool has its quorum.
type Quorum uint8

// Whether a pool has its quorum. QuorumUndecided is before enough servers have
// been judged.
const (
	QuorumUndecided Quorum = iota
	QuorumMet
	QuorumLost
)

// member is one real server as its pool sees it.
type member struct {
	weight uint32 // configured, or set by an operator
	share  healthcheck.Share
	health healthcheck.Status // Up where nothing is checked
	risen  time.Time          // when it came up; zero where it is not to start slowly
	mode   mode
}

// mode is what an operator, or the configuration, makes of a member.
type mode uint8

const (
	serving  mode = iota
	draining      // no new connections
	out           // not in the pool
)

// Seat is what a member gets in the kernel's table.
type Seat struct {
	In     bool
	Weight uint32
	// Full is the weight that the ramp of a slow start leads to; 0 without a ramp.
	Full uint32
}

// Pool is what the policy of a service makes of its real servers at one listener.
type Pool struct {
	State  PoolState
	Quorum Quorum
	// Up is the sum of the weights of the members that are up, in hundredths, and
	// All that of all members that are meant to serve.
	Up, All uint64
	// Seats are those of the members, in their order.
	Seats []Seat
	// Sorry says whether the sorry server takes the new connections.
	Sorry bool
	// Next is when a ramp makes its next step; zero if there is none.
	Next time.Time
}

// Below reports whether the quorum is lost.
func (p Pool) Below() bool { return p.Quorum == QuorumLost }

// decidePool applies the policy of s. It is a pure function: before is whether
// the pool had its quorum when it was last decided.
func decidePool(policy config.Pool, members []member, before Quorum, now time.Time) Pool {
	var sum strengths
	for _, m := range members {
		sum.add(m)
	}
	p := Pool{Up: sum.up, All: sum.all, Quorum: sum.quorum(policy, before), Seats: make([]Seat, len(members))}
	p.Sorry = p.Below() && policy.Sorry != nil
	panics := !p.Sorry && sum.down > 0 && (sum.all-sum.down)*100 < uint64(policy.Panic)*sum.all
	switch {
	case p.Sorry:
		p.State = PoolSorry
	case panics:
		p.State = PoolPanic
	case p.Below():
		p.State = PoolBelow
	case p.Quorum == QuorumUndecided:
		p.State = PoolUndecided
	default:
		p.State = PoolOK
	}
	ramp := newRamp(policy.SlowStart, members)
	for i, m := range members {
		p.Seats[i] = ramp.seat(m, now)
		switch {
		case m.mode == out || m.health == healthcheck.Unknown:
			p.Seats[i] = Seat{}
		case m.health == healthcheck.Down && !panics:
			p.Seats[i] = Seat{In: policy.OnFailure == "quiesce"}
		case m.mode == draining || p.Sorry:
			p.Seats[i] = Seat{In: true}
		}
		if p.Seats[i].Full > 0 {
			p.Next = earlier(p.Next, ramp.next(m, now))
		}
	}
	return p
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// strengths are the weights of a pool by health, in hundredths. Members that are
// not to serve have none.
type strengths struct {
	all, down uint64
	up        uint64 // by the shares that the servers ask for
	open      uint64 // not judged yet
}

func (s *strengths) add(m member) {
	if m.mode != serving {
		return
	}
	configured, asked := uint64(m.weight)*100, uint64(m.weight)*100
	if m.share.Asked {
		asked = uint64(m.weight) * uint64(min(max(m.share.Percent, 0), healthcheck.MaxPercent))
	}
	s.all += configured
	switch m.health {
	case healthcheck.Up:
		s.up += asked
	case healthcheck.Down:
		s.down += configured
	default:
		s.open += configured
	}
}

// quorum decides. Members that are not judged yet count neither way: as long as
// they could turn the decision, it stays what it was.
func (s *strengths) quorum(policy config.Pool, before Quorum) Quorum {
	need, slack := uint64(policy.Quorum)*100, uint64(policy.Hysteresis)*100
	most := s.up + s.open
	switch {
	case before == QuorumMet && most < need-slack, before == QuorumUndecided && most < need:
		return QuorumLost
	case before == QuorumLost && s.up >= need+slack, before == QuorumUndecided && s.up >= need:
		return QuorumMet
	}
	return before
}
