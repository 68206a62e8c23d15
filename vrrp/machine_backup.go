package vrrp

import (
	"net/netip"
	"time"
)

// enterBackup starts to listen to m.master, or to nobody yet, with the interval
// in m.masterInterval.
func (m *Machine) enterBackup(now time.Time, reason Reason) {
	m.resigned, m.overslept, m.settling, m.ready, m.preemptAt = false, false, false, false, time.Time{}
	m.deadline = now.Add(m.cfg.MasterDownInterval(m.masterInterval))
	m.enter(now, Backup, reason)
}

// settle lets a backup that has just begun listen until then, unless it hears somebody.
func (m *Machine) settle(until time.Time) {
	if m.state == Backup && !m.ready && m.deadline.Before(until) {
		m.deadline, m.settling = until, true
	}
}

// settled goes on as if the link had been up for long: it carries adverts.
func (m *Machine) settled(now time.Time) {
	if !m.settling {
		return
	}
	m.deadline, m.settling = m.since.Add(m.cfg.MasterDownInterval(m.masterInterval)), false
	if m.deadline.Before(now) {
		m.deadline = now
	}
}

// receiveAsBackup is RFC 9568, section 6.4.2.
func (m *Machine) receiveAsBackup(now time.Time, from netip.Addr, p *Packet) {
	m.settled(now)
	// "If the Priority in the ADVERTISEMENT is 0, then: Set the Active_Down_Timer
	// to Skew_Time."
	if p.Priority == 0 {
		if m.ready {
			return
		}
		m.resigned = true
		m.deadline = now.Add(m.cfg.SkewTime(m.masterInterval))
		return
	}
	// "If Preempt_Mode is False, or if the Priority in the ADVERTISEMENT is greater
	// than or equal to the local Priority, then: Set Active_Adver_Interval to Max
	// Advertise Interval contained in the ADVERTISEMENT; Recompute the Skew_Time;
	// Recompute the Active_Down_Interval; Reset the Active_Down_Timer to
	// Active_Down_Interval."
	if p.Priority >= m.cfg.Priority {
		m.preemptAt = time.Time{}
		m.follow(now, from, p.Interval)
		return
	}
	if !m.preempts(now) {
		m.follow(now, from, p.Interval)
		return
	}
	// "Discard the ADVERTISEMENT": the timer runs on. Who is master is known all
	// the same.
	if !m.master.IsValid() {
		m.master = from
	}
}

// preempts reports whether a master of lower priority is to be replaced now. The
// owner does so whatever Preempt_Mode says (section 6.1). Who handed over on
// request does not until it was master again: the operator would get back at once
// what was just given away.
func (m *Machine) preempts(now time.Time) bool {
	if m.ceded {
		return false
	}
	if m.cfg.Priority == OwnerPriority {
		return true
	}
	if !m.cfg.Preempt {
		return false
	}
	if m.cfg.PreemptDelay == 0 {
		return true
	}
	if m.preemptAt.IsZero() {
		m.preemptAt = now.Add(m.cfg.PreemptDelay)
	}
	return !now.Before(m.preemptAt)
}

// follow restarts the wait for a master that was just heard.
func (m *Machine) follow(now time.Time, from netip.Addr, interval time.Duration) {
	m.master, m.masterInterval = from, interval
	m.resigned, m.overslept, m.ready = false, false, false
	m.deadline = now.Add(m.cfg.MasterDownInterval(interval))
}

// masterDown is the end of the Active_Down_Timer.
func (m *Machine) masterDown(now time.Time) {
	// Whoever overslept an interval may not have read what was received meanwhile.
	// A living master is heard within its interval, so listen for that, once.
	if late := now.Sub(m.deadline); late > m.masterInterval && !m.overslept {
		m.overslept = true
		m.deadline = now.Add(m.masterInterval + m.cfg.SkewTime(m.masterInterval))
		return
	}
	m.await(now)
}
