package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// answerSpacing is the shortest time between two own adverts, so that nobody can
// make a master send at line rate. No legal interval is shorter.
const answerSpacing = MinInterval

// rivalSpacing is the shortest time between two reports of a second master.
const rivalSpacing = time.Second

// Machine is one virtual router's state, timers, ties and preemption. It has no
// clock: the current time, never going backwards, is an argument. It is not safe
// for concurrent use.
//
//	          Start (255) ┌────────────────────────────────────┐
//	   ┌──────────────────│                                    ▼
//	┌──────┐ Start    ┌────────┐  Master_Down_Timer       ┌────────┐
//	│ Init │─────────▶│ Backup │─────────────────────────▶│ Master │
//	└──────┘          └────────┘◀─────────────────────────└────────┘
//	 ▲ ▲  ▲  Stop, Fault  │       better master, stalled   │     │ Stop
//	 │ │  └───────────────┘                                │     ▼
//	 │ └───────────────────────────────────────────────────┘ ┌─────────┐
//	 │                        Fault                          │ Leaving │
//	 └───────────────────────────────────────────────────────└─────────┘
//	               successor heard, bound passed, Fault
//
// A hand-over on request ends in Backup instead, or in Master if nobody took over.
type Machine struct {
	cfg    RouterConfig
	source netip.Addr

	state    State
	since    time.Time
	reason   Reason
	deadline time.Time // of the only timer; zero: not running
	sentAt   time.Time // own last advert

	master         netip.Addr    // zero: none known
	masterInterval time.Duration // Active_Adver_Interval
	resigned       bool          // Backup: the timer is Skew_Time after priority 0
	overslept      bool          // Backup: listening once more after a late timer
	settling       bool          // Backup: nobody was heard yet, and the link has just come up
	preemptAt      time.Time     // Backup: end of the preempt delay; zero: not running
	successor      bool          // Leaving: heard, lingering
	stays          bool          // Leaving: as backup, or as master without a successor
	ceded          bool          // Backup: of its own will, so it does not preempt
	rivalAt        time.Time     // Master: last report of a second master
	displaced      netip.Addr    // Master: whom it took over from by silence; zero: nobody
	contest        contest       // Master: with the one that it displaced, or that displaced it

	grouped     bool      // moves with a SyncGroup
	leader      *Machine  // of the group; nil: this one leads, or is alone
	ready       bool      // Backup: waited long enough, and waits for the group
	assertedAt  time.Time // Master: last stayed against a rival
	contestedAt time.Time // Master: a better rival was heard, and the leader has not decided

	advert, resign []Outgoing
	actions        []Action // reused
}

// NewMachine returns a router in Init that waits for EventStart or EventResume.
// The configuration must be valid and source of its family; anything else is a
// programming error and panics.
func NewMachine(cfg RouterConfig, source netip.Addr, now time.Time) *Machine {
	m := &Machine{cfg: cfg, source: source, since: now, masterInterval: cfg.Interval}
	m.encode()
	return m
}

// State returns the current state, the instant it was entered and why.
func (m *Machine) State() (State, time.Time, Reason) { return m.state, m.since, m.reason }

// Master returns the primary address of the master, zero if none is known, and
// the advertisement interval that goes with it.
func (m *Machine) Master() (netip.Addr, time.Duration) { return m.master, m.masterInterval }

// Ceded reports whether the router gives its role away on request, or has done so
// and was not master since.
func (m *Machine) Ceded() bool { return m.ceded || m.state == Leaving && m.stays }

// Deadline returns when Advance wants to be called next, and false for never.
func (m *Machine) Deadline() (time.Time, bool) { return m.deadline, !m.deadline.IsZero() }

// Step handles an event. The returned slice is valid until the next call.
func (m *Machine) Step(now time.Time, ev Event) []Action {
	m.actions = m.actions[:0]
	switch ev.Kind {
	case EventStart:
		if m.state == Init {
			m.start(now, ev.Reason)
			m.settle(ev.Settled)
		}
	case EventResume:
		if m.state == Init {
			m.resume(now, ev.Resume)
		}
	case EventPacket:
		m.yieldIfStalled(now)
		m.receive(now, ev.From, ev.Packet)
	case EventStop:
		m.stop(now, ev.Reason)
	case EventHandover:
		m.yieldIfStalled(now)
		m.handOver(now)
	case EventFault:
		if m.state != Init {
			m.enterInit(now, ev.Reason)
		}
	case EventConfigure:
		m.yieldIfStalled(now)
		m.configure(now, ev.Config)
	case EventSource:
		m.yieldIfStalled(now)
		m.setSource(now, ev.From)
	case EventRise:
		m.rise(now, ev.Reason)
	case EventYield:
		m.fall(now, ev.Reason)
	default:
		panic(fmt.Sprintf("vrrp: no such event: %d", ev.Kind))
	}
	return m.actions
}

// Advance handles the timer, if it is due. Calls too early do nothing. The
// returned slice is valid until the next call.
func (m *Machine) Advance(now time.Time) []Action {
	m.actions = m.actions[:0]
	if m.deadline.IsZero() || now.Before(m.deadline) {
		return nil
	}
	switch m.state {
	case Backup:
		m.masterDown(now)
	case Master:
		m.yieldIfStalled(now)
		if m.state == Master {
			m.advertiseOnTime(now)
		}
	case Leaving:
		m.left(now)
	}
	return m.actions
}

// start is Startup (RFC 9568, section 6.4.1).
func (m *Machine) start(now time.Time, reason Reason) {
	m.resetMaster()
	if m.cfg.Ineligible != "" {
		m.enterInit(now, m.cfg.Ineligible)
		return
	}
	// "If the Priority = 255, i.e., the router owns the IPvX address associated
	// with the Virtual Router: Send an ADVERTISEMENT; ... Transition to the
	// {Active} state."
	owner := m.cfg.Priority == OwnerPriority
	if owner && !m.grouped {
		m.enterMaster(now, ReasonOwner)
		return
	}
	// "Set Active_Adver_Interval to Advertisement_Interval; Set the
	// Active_Down_Timer to Active_Down_Interval; Transition to the {Backup} state."
	m.enterBackup(now, reason)
	if owner {
		m.await(now)
	}
}

// resetMaster forgets who is master.
func (m *Machine) resetMaster() { m.master, m.masterInterval = netip.Addr{}, m.cfg.Interval }

// resume goes on where an earlier process stopped, as if this one had been late.
func (m *Machine) resume(now time.Time, r *Resume) {
	entered := func() {
		if !r.Since.IsZero() && r.Since.Before(now) {
			m.since = r.Since
		}
	}
	m.ceded = r.Ceded
	switch {
	case r.State == Master && r.Silent > 0 && r.Silent < m.cfg.Patience() && m.cfg.Ineligible != "":
		m.enterLeaving(now, m.cfg.Ineligible)
	case r.State == Master && r.Silent > 0 && r.Silent < m.cfg.Patience():
		m.enterMaster(now, ReasonResumed)
		m.displaced = r.Displaced
		entered()
	case r.State == Master && r.Silent > 0 && m.cfg.Priority != OwnerPriority:
		m.start(now, ReasonStalled)
	case r.State == Leaving:
		m.enterLeaving(now, ReasonResumed)
		m.stays = r.Ceded && m.cfg.Ineligible == ""
		entered()
	case r.State == Backup && m.cfg.Ineligible == "" && r.Master.IsValid() && r.MasterInterval > 0:
		m.master, m.masterInterval = r.Master, r.MasterInterval
		if m.cfg.version() == 2 {
			m.masterInterval = m.cfg.Interval // no other is accepted
		}
		m.enterBackup(now, ReasonResumed)
		entered()
	default:
		m.start(now, ReasonStart)
	}
}

// receive handles a packet that passed the receive checks.
func (m *Machine) receive(now time.Time, from netip.Addr, p *Packet) {
	switch m.state {
	case Backup:
		m.receiveAsBackup(now, from, p)
	case Master:
		m.receiveAsMaster(now, from, p)
	case Leaving:
		m.receiveAsLeaving(now, from, p)
	}
}

// stop is Shutdown (RFC 9568, sections 6.4.2 and 6.4.3), with Leaving between
// Master and Init.
func (m *Machine) stop(now time.Time, reason Reason) {
	switch m.state {
	case Backup:
		m.enterInit(now, reason)
	case Master:
		m.enterLeaving(now, reason)
	case Leaving:
		m.stays = false
	}
}

// configure takes over new parameters without losing the role.
func (m *Machine) configure(now time.Time, cfg *RouterConfig) {
	old := m.cfg
	m.cfg = *cfg
	if !old.sameAdvert(cfg) {
		m.encode()
	}
	if cfg.Ineligible != "" {
		m.stop(now, cfg.Ineligible)
		return
	}
	switch m.state {
	case Backup:
		// What was learned of the master does not count with another version, and
		// nothing but the own interval in version 2.
		fixed := !m.master.IsValid() || cfg.version() == 2
		if old.Interval != cfg.Interval && fixed || old.version() != cfg.version() {
			m.masterInterval = cfg.Interval
			m.ready = false
			m.deadline = now.Add(cfg.MasterDownInterval(m.masterInterval))
			return
		}
		if m.ready {
			return
		}
		// The same wait with the new priority's skew.
		m.deadline = m.deadline.Add(cfg.SkewTime(m.masterInterval) - old.SkewTime(m.masterInterval))
	case Master:
		m.masterInterval = cfg.Interval
		if !old.sameAdvert(cfg) {
			m.advertise(now)
		}
	}
}

// setSource changes the address that adverts are sent from.
func (m *Machine) setSource(now time.Time, source netip.Addr) {
	if source == m.source {
		return
	}
	m.source = source
	m.encode()
	if m.state == Master {
		m.master = source
		m.advertise(now)
	}
}

// encode prepares the messages. They are new slices each time, because actions
// that were returned earlier may still refer to the old ones.
func (m *Machine) encode() {
	var err error
	if m.advert, err = adverts(&m.cfg, m.source, m.cfg.Priority); err != nil {
		panic("vrrp: " + err.Error())
	}
	if m.resign, err = adverts(&m.cfg, m.source, 0); err != nil {
		panic("vrrp: " + err.Error())
	}
}

// send appends the sending of an advert to all who are to have it.
func (m *Machine) send(now time.Time, all []Outgoing) {
	m.sentAt = now
	for _, o := range all {
		m.actions = append(m.actions, Action{Kind: ActionSend, Outgoing: o})
	}
}

// enter changes the state; every change goes through here.
func (m *Machine) enter(now time.Time, to State, reason Reason) {
	from := m.state
	m.state, m.since, m.reason = to, now, reason
	if to != Master {
		m.displaced, m.contest = netip.Addr{}, contest{}
	}
	m.report(now, from, reason, m.master)
}

// report appends a transition to the current state.
func (m *Machine) report(now time.Time, from State, reason Reason, master netip.Addr) {
	m.actions = append(m.actions, Action{Kind: ActionTransition, Transition: Transition{
		Router: m.cfg.Name, From: from, To: m.state, Reason: reason, At: now,
		Master: master, MasterInterval: m.masterInterval, Ceded: m.Ceded(), Displaced: m.displaced,
	}})
}

func (m *Machine) enterInit(now time.Time, reason Reason) {
	m.deadline, m.ready = time.Time{}, false
	if m.state != Leaving {
		m.resetMaster()
	}
	m.enter(now, Init, reason)
}
