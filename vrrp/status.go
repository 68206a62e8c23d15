package vrrp

import (
	"net/netip"
	"time"
)

// Transition is a change of a router's state, or news about a state that goes
// on (ReasonRival, where From and To are both Master).
type Transition struct {
	Router string    `json:"router"`
	From   State     `json:"from"`
	To     State     `json:"to"`
	Reason Reason    `json:"reason"`
	At     time.Time `json:"at"`
	// Master is the primary address of the master, zero if none is known. It is
	// the own one in state Master, the rival's one with ReasonRival.
	Master         netip.Addr    `json:"master"`
	MasterInterval time.Duration `json:"master_interval"` // of that master; the own one if none is known
	// Ceded is set in a hand-over on request, and after it until the router is
	// master again: it does not preempt.
	Ceded bool `json:"ceded,omitempty"`
	// Displaced is, in state Master, the silent master that this one took over from;
	// zero if there was none. It is given way to where both do not preempt.
	Displaced netip.Addr `json:"displaced,omitzero"`
}

// Resume is what an earlier process knew of a router, so that the next one can
// go on as if it had only been late.
type Resume struct {
	State          State         `json:"state"`
	Since          time.Time     `json:"since"`           // when that state was entered
	Master         netip.Addr    `json:"master"`          // zero if none was known
	MasterInterval time.Duration `json:"master_interval"` // 0 if none was known
	Ceded          bool          `json:"ceded,omitempty"` // see Transition
	Displaced      netip.Addr    `json:"displaced,omitzero"`
	// Silent is how long this node may have sent nothing; 0 is unknown.
	Silent time.Duration `json:"silent"`
}

// Heard is the last valid advert from another router.
type Heard struct {
	From     netip.Addr    `json:"from"`
	Priority uint8         `json:"priority"`
	Interval time.Duration `json:"interval"`
	Age      time.Duration `json:"age"`
	// Checksum is the form that the router uses, in version 3 over IPv4.
	Checksum Checksum `json:"checksum,omitempty"`
}

// RouterStatus is a snapshot of one virtual router.
type RouterStatus struct {
	RouterConfig            // without Authentication
	State        State      `json:"state"`
	Since        time.Time  `json:"since"`
	Reason       Reason     `json:"reason"` // of the last transition; empty before the first
	Source       netip.Addr `json:"source"` // own primary address; zero if there is none
	Master       netip.Addr `json:"master"` // zero if none is known
	Ceded        bool       `json:"ceded"`  // see Transition
	Displaced    netip.Addr `json:"displaced,omitzero"`
	Heard        *Heard     `json:"heard"` // nil if no other router was heard yet
	Sent         uint64     `json:"sent"`
	// Received counts the valid adverts of other routers.
	Received uint64 `json:"received"`
	// Dropped counts by DropReason.String the packets with this router's VRID
	// that failed a receive check. It holds no zeros.
	Dropped map[string]uint64 `json:"dropped"`
	// Entered counts the changes of state by the state that was entered. It holds
	// no zeros.
	Entered map[string]uint64 `json:"entered"`
	// Problem says what keeps the router from working; empty if nothing does.
	Problem string `json:"problem"`
	// LatestLateness and MaxLateness say how late timers were handled.
	LatestLateness time.Duration `json:"latest_lateness"`
	MaxLateness    time.Duration `json:"max_lateness"`
}
