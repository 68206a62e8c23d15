package vrrp

import (
	"net/netip"
	"time"
)

// enterMaster advertises at once and then reports, so that the advert is on the
// wire before anybody acts on the takeover.
func (m *Machine) enterMaster(now time.Time, reason Reason) {
	if m.state == Backup && !m.resigned {
		m.displaced = m.master
	}
	m.master, m.masterInterval = m.source, m.cfg.Interval
	m.rivalAt, m.assertedAt, m.contestedAt = time.Time{}, time.Time{}, time.Time{}
	m.ceded, m.ready = false, false
	m.advertise(now)
	m.enter(now, Master, reason)
}

// advertise sends an advert and waits a full interval for the next.
func (m *Machine) advertise(now time.Time) {
	m.send(now, m.advert)
	m.deadline = now.Add(m.cfg.Interval)
}

// advertiseOnTime sends the advert that is due. The next one is due an interval
// after this one was, so that being late does not add up.
func (m *Machine) advertiseOnTime(now time.Time) {
	next := m.deadline.Add(m.cfg.Interval)
	m.advertise(now)
	if next.After(now) {
		m.deadline = next
	}
}

// joinSlack bounds how early an advert may be, to leave with those of others: a
// part of its interval, and no more than a network may delay it by anyway.
func joinSlack(interval time.Duration) time.Duration { return min(interval/32, 10*time.Millisecond) }

// Join sends a master's next advert now if it is nearly due. Routers that became
// master together then advertise together ever after, in one system call. The
// returned slice is valid until the next call.
func (m *Machine) Join(now time.Time) []Action {
	m.actions = m.actions[:0]
	if m.state == Master && !m.deadline.After(now.Add(joinSlack(m.cfg.Interval))) && !now.Before(m.sentAt.Add(answerSpacing/2)) {
		m.advertise(now)
	}
	return m.actions
}

// answer advertises at once, or as soon as answerSpacing allows.
func (m *Machine) answer(now time.Time) {
	if at := m.sentAt.Add(answerSpacing); now.Before(at) {
		if at.Before(m.deadline) {
			m.deadline = at
		}
		return
	}
	m.advertise(now)
}

// receiveAsMaster is RFC 9568, section 6.4.3.
func (m *Machine) receiveAsMaster(now time.Time, from netip.Addr, p *Packet) {
	// "If the Priority in the ADVERTISEMENT is 0, then: Send an ADVERTISEMENT;
	// Reset the Adver_Timer to Advertisement_Interval."
	if p.Priority == 0 {
		m.answer(now)
		return
	}
	// "If the Priority in the ADVERTISEMENT is greater than the local Priority or
	// the Priority in the ADVERTISEMENT is equal to the local Priority and the
	// primary IPvX address of the sender is greater than the local primary IPvX
	// address (based on an unsigned integer comparison of the IPvX addresses in
	// network byte order), then: Cancel Adver_Timer; Set Active_Adver_Interval to
	// Max Advertise Interval contained in the ADVERTISEMENT; ... Set
	// Active_Down_Timer to Active_Down_Interval; Transition to the {Backup} state."
	higher := p.Priority > m.cfg.Priority
	better := higher || p.Priority == m.cfg.Priority && from.Compare(m.source) > 0
	switch {
	case better && !m.concedes(now, p.Interval):
		// The leader decides first. The adverts that are due tell the rival of us.
	case better && m.holdsOut(now, from, p):
		// They do so here too: the rival answers each at once.
		m.assertedAt = now
		m.meet(now, from, p.Interval/4)
	case higher:
		m.yield(now, from, p.Interval, ReasonHigherPriority)
	case better:
		m.yield(now, from, p.Interval, ReasonHigherAddress)
	case m.givesBack(now, from, p):
		m.yield(now, from, p.Interval, ReasonSeniority)
	default:
		// "Discard the ADVERTISEMENT and immediately send an ADVERTISEMENT to
		// assert {Active} state to the sending VRRP router and to update any
		// learning bridges"
		m.assertedAt = now
		m.answer(now)
		m.meet(now, from, rivalSpacing)
	}
}

// meet reports a second master, unless it did so within the spacing.
func (m *Machine) meet(now time.Time, rival netip.Addr, spacing time.Duration) {
	if m.rivalAt.IsZero() || now.Sub(m.rivalAt) >= spacing {
		m.rivalAt = now
		m.report(now, Master, ReasonRival, rival)
	}
}

// yield gives way to a better master, with a last advert: hosts may have learned
// our MAC address while both were master, and only who hears its rival knows that
// its announcements have to be repeated.
func (m *Machine) yield(now time.Time, to netip.Addr, interval time.Duration, reason Reason) {
	m.advertise(now)
	m.master, m.masterInterval = to, interval
	m.enterBackup(now, reason)
}

// yieldIfStalled makes a master listen that was silent for longer than a backup
// waits, because that backup is master by now. The owner wins in any case.
func (m *Machine) yieldIfStalled(now time.Time) {
	if m.state != Master || m.cfg.Priority == OwnerPriority || now.Sub(m.sentAt) <= m.cfg.Patience() {
		return
	}
	m.resetMaster()
	m.enterBackup(now, ReasonStalled)
}
