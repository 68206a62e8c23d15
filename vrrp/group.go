package vrrp

import "time"

// SyncGroup makes virtual routers move as one: all of them master on one node, none of
// them on another.
//
//   - It rises as one: a backup whose master is silent waits for the others, and
//     all become master in the same instant. A member that still hears a master
//     keeps the group back; what cuts one member off moves nothing.
//   - It falls as one: if a member yields, or may no longer speak, all do.
//   - It runs as one: if a member cannot run, or hands over, all hand over.
//   - The first member leads: where two masters meet, its comparison of priorities
//     and addresses counts. The others give way by themselves only where it hears
//     nobody. Otherwise two nodes could each win with one member, and both yield.
//
// It holds no state but who its members are, and what it decides are events for
// them. It is not safe for concurrent use.
type SyncGroup struct{ members []*Machine }

// NewSyncGroup makes a group of Machines, of which the first leads. Machines that were
// in another group leave it.
func NewSyncGroup(members ...*Machine) *SyncGroup {
	for i, m := range members {
		m.grouped, m.leader = true, nil
		if i > 0 {
			m.leader = members[0]
		}
	}
	return &SyncGroup{members: members}
}

// leave makes a machine independent. If it only waited for the others, it no longer
// has to.
func (m *Machine) leave(now time.Time) {
	m.grouped, m.leader = false, nil
	if m.ready {
		m.ready, m.deadline = false, now
	}
}

// Move is an event for a member of a group.
type Move struct {
	Member *Machine
	Event  Event
}

// Moves returns what the members have to do after one of them, which was in state
// from, has handled an event or its timer.
func (g *SyncGroup) Moves(member *Machine, from State) []Move {
	var moves []Move
	tell := func(to *Machine, kind EventKind, reason Reason) {
		moves = append(moves, Move{to, Event{Kind: kind, Reason: reason}})
	}
	others := func(in State, kind EventKind, reason Reason) {
		for _, m := range g.members {
			if m != member && m.state == in {
				tell(m, kind, reason)
			}
		}
	}
	switch active := from == Backup || from == Master; {
	case member.state == from:
	case member.state == Master:
		others(Backup, EventRise, ReasonGroupMaster)
	case member.state == Backup && from == Master:
		reason := ReasonGroupYielded
		if member.reason == ReasonStalled {
			reason = ReasonStalled
		}
		others(Master, EventYield, reason)
	case member.state == Backup && g.any(Master):
		tell(member, EventRise, ReasonGroupMaster)
	case active && member.state == Leaving && member.stays:
		others(Master, EventHandover, ReasonHandover)
	case active: // to Init or Leaving
		reason := member.reason
		if reason == ReasonLinkDown || reason == ReasonNoSource {
			reason = ReasonGroupFault
		}
		others(Master, EventStop, reason)
		others(Backup, EventStop, reason)
	}
	if len(moves) == 0 && member.ready && g.rises() {
		for _, m := range g.members {
			if m.ready {
				tell(m, EventRise, ReasonGroupMaster)
			}
		}
	}
	return moves
}

func (g *SyncGroup) any(state State) bool {
	for _, m := range g.members {
		if m.state == state {
			return true
		}
	}
	return false
}

// rises reports whether no member hears a master.
func (g *SyncGroup) rises() bool {
	for _, m := range g.members {
		if !m.ready && m.state != Master {
			return false
		}
	}
	return true
}

// await is the end of a backup's wait: it takes over, in a group together with the
// others.
func (m *Machine) await(now time.Time) {
	if !m.grouped {
		m.enterMaster(now, m.readyReason())
		return
	}
	m.ready, m.deadline = true, time.Time{}
}

func (m *Machine) readyReason() Reason {
	switch {
	case m.grouped && m.cfg.Priority == OwnerPriority:
		return ReasonOwner
	case m.resigned:
		return ReasonMasterResigned
	}
	return ReasonMasterDown
}

// rise takes over with the group.
func (m *Machine) rise(now time.Time, reason Reason) {
	if m.state != Backup {
		return
	}
	if m.ready {
		reason = m.readyReason()
	}
	m.enterMaster(now, reason)
}

// fall gives way with the group. Only who may not speak does so without a last
// advert, see yield.
func (m *Machine) fall(now time.Time, reason Reason) {
	if m.state != Master {
		return
	}
	if reason != ReasonStalled {
		m.advertise(now)
	}
	m.resetMaster()
	m.enterBackup(now, reason)
}

// concedes reports whether a master that heard a better one yields. A member that
// does not lead gives its leader an interval to decide, and the time again that the
// leader has a rival that it outdoes: that rival's group is about to fall.
func (m *Machine) concedes(now time.Time, rivals time.Duration) bool {
	if m.leader == nil {
		return true
	}
	wait := max(m.cfg.Interval, rivals)
	if at := m.leader.assertedAt; !at.IsZero() && now.Sub(at) < 2*wait {
		m.contestedAt = time.Time{}
		return false
	}
	if m.contestedAt.IsZero() || now.Sub(m.contestedAt) > 3*wait {
		m.contestedAt = now
	}
	return now.Sub(m.contestedAt) >= wait
}
