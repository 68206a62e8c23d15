package vrrp

import (
	"net/netip"
	"time"
)

// enterLeaving resigns and waits for a successor.
func (m *Machine) enterLeaving(now time.Time, reason Reason) {
	// "Cancel the Adver_Timer; Send an ADVERTISEMENT with Priority = 0"
	// (RFC 9568, section 6.4.3)
	m.send(now, m.resign)
	m.successor, m.stays = false, false
	m.resetMaster()
	m.deadline = now.Add(HandoverBound(m.cfg.Interval))
	m.enter(now, Leaving, reason)
}

// handOver resigns as a stop does, but stays. There is no other way to find out
// whether somebody takes over: backups are silent.
func (m *Machine) handOver(now time.Time) {
	if m.state == Master {
		m.enterLeaving(now, ReasonHandover)
		m.stays = true
	}
}

// receiveAsLeaving notes the successor's first advert.
func (m *Machine) receiveAsLeaving(now time.Time, from netip.Addr, p *Packet) {
	if p.Priority == 0 {
		return
	}
	m.master, m.masterInterval = from, p.Interval
	if m.successor {
		return
	}
	m.successor = true
	if at := now.Add(handoverLinger(m.cfg.Interval)); at.Before(m.deadline) {
		m.deadline = at
	}
}

// left is the end of Leaving.
func (m *Machine) left(now time.Time) {
	reason := ReasonHandoverTimeout
	if m.successor {
		reason = ReasonSuccessor
	}
	switch {
	case !m.stays:
		m.enterInit(now, reason)
	case m.successor:
		m.ceded = true
		m.enterBackup(now, reason)
	default:
		m.enterMaster(now, reason)
	}
}
