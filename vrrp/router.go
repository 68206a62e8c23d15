package vrrp

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// router is one virtual router as the loop keeps it: its machine, its place in
// the heap and its counters.
type router struct {
	cfg      RouterConfig
	invalid  string   // why the configuration cannot be used; there is no machine then
	refused  string   // why a later configuration was not taken over
	machine  *Machine // nil until the link was usable once
	link     *link
	group    *group // nil: moves alone
	created  time.Time
	resume   *Resume // until the first start
	began    bool    // was started once
	removing bool    // vanishes when in Init

	deadline time.Time
	index    int // in timers, -1 when not there

	heard          heard
	sent, received uint64
	dropped        [dropReasons]uint64
	sendProblem    string
	sendFailed     bool   // in this turn
	mismatch       string // what another router advertises otherwise than we do
	mismatchOf     netip.Addr
	mismatchLimit  logLimit
	late, maxLate  time.Duration
	entered        [len(stateNames)]uint64
}

// heard is the last valid advert.
type heard struct {
	from     netip.Addr
	priority uint8
	interval time.Duration
	checksum Checksum
	at       time.Time
}

func (r *router) state() State {
	if r.machine == nil {
		return Init
	}
	return r.machine.state
}

// noteLateness records how late a timer is handled.
func (r *router) noteLateness(late time.Duration) {
	r.late, r.maxLate = late, max(r.maxLate, late)
}

// compare notes what another router advertises otherwise than this one, and
// reports whether that is news. Neither is a reason to drop (RFC 9568, 7.1).
func (r *router) compare(from netip.Addr, p *Packet) bool {
	mismatch := ""
	switch {
	case !sameAddresses(r.cfg.Addresses, p.Addresses):
		mismatch = from.String() + " advertises other addresses"
	case p.Interval != r.cfg.Interval:
		mismatch = from.String() + " advertises another interval: " + p.Interval.String()
	}
	// Who is fine says nothing about another one, unless that is the master now.
	if mismatch == "" && from != r.mismatchOf && from != r.machine.master {
		return false
	}
	if mismatch == r.mismatch {
		return false
	}
	r.mismatch, r.mismatchOf = mismatch, from
	return mismatch != ""
}

// sameAddresses compares as sets, and does not allocate where the order is the
// same too.
func sameAddresses(a, b []netip.Addr) bool {
	if slices.Equal(a, b) {
		return true
	}
	set := func(s []netip.Addr) map[netip.Addr]bool {
		m := make(map[netip.Addr]bool, len(s))
		for _, x := range s {
			m[x] = true
		}
		return m
	}
	return maps.Equal(set(a), set(b))
}

func (r *router) status(now time.Time) RouterStatus {
	s := RouterStatus{
		RouterConfig: r.cfg, State: Init, Since: r.created, Sent: r.sent, Received: r.received,
		LatestLateness: r.late, MaxLateness: r.maxLate, Problem: r.problem(),
		Dropped: map[string]uint64{}, Entered: map[string]uint64{},
	}
	s.Authentication = ""
	s.Addresses, s.Peers = slices.Clone(r.cfg.Addresses), slices.Clone(r.cfg.Peers)
	if r.link != nil {
		s.Source = r.link.source
	}
	if r.machine != nil {
		s.State, s.Since, s.Reason = r.machine.State()
		s.Master, _ = r.machine.Master()
		s.Ceded = r.machine.Ceded()
		s.Displaced = r.machine.displaced
	}
	if r.heard.from.IsValid() {
		s.Heard = &Heard{From: r.heard.from, Priority: r.heard.priority, Interval: r.heard.interval, Age: now.Sub(r.heard.at), Checksum: r.heard.checksum}
	}
	for state, n := range r.entered {
		if n > 0 {
			s.Entered[State(state).String()] = n
		}
	}
	for reason, n := range r.dropped {
		if n > 0 {
			s.Dropped[DropReason(reason).String()] = n
		}
	}
	return s
}

// problem returns what matters most.
func (r *router) problem() string {
	if own := r.ownProblem(); own != "" || r.group == nil {
		return cmp.Or(own, r.mismatch)
	}
	return cmp.Or(r.group.problemOf(r), r.mismatch)
}

// ownProblem is what keeps this router from working, whatever its group does.
func (r *router) ownProblem() string {
	switch {
	case r.invalid != "":
		return r.invalid
	case r.refused != "":
		return r.refused
	case r.link.problem != "":
		return r.link.problem
	case !r.link.carrier:
		return "interface " + r.link.name + " has no carrier"
	case r.sendProblem != "":
		return r.sendProblem
	}
	return ""
}
