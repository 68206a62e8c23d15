// Package journal keeps what happened on this node: the newest events in memory,
// and as many as fit into two files of bounded size on disk, so that they survive
// restarts. Adding an event never waits for the disk: one goroutine writes, and
// what it cannot write is counted and stays in memory as long as there is room.
package journal

import (
	"fmt"
	"strings"
	"time"
)

// Kind says what sort of event it is.
type Kind string

const (
	KindStart      Kind = "start"       // this director began, or took over from one that died
	KindStop       Kind = "stop"        // it was stopped
	KindTransition Kind = "transition"  // a virtual router changed its state
	KindHealth     Kind = "health"      // a real server changed its health
	KindReload     Kind = "reload"      // a configuration was put in force or refused
	KindProcess    Kind = "process"     // a process died and was restarted
	KindSplitBrain Kind = "split-brain" // a second master was noticed, or is gone
	KindAddress    Kind = "address"     // somebody else removed an address of ours
	KindDrift      Kind = "drift"       // somebody else changed the IPVS table, which was undone
	KindPool       Kind = "pool"        // the real servers of a service are too few, or enough again
	KindOperator   Kind = "operator"    // somebody asked for something
)

// Kinds lists all.
var Kinds = []Kind{KindStart, KindStop, KindTransition, KindHealth, KindReload, KindProcess, KindSplitBrain, KindAddress, KindDrift, KindPool, KindOperator}

// Event is one thing that happened.
type Event struct {
	// ID grows from one event to the next, also over restarts, unless the clock
	// was set back meanwhile.
	ID   uint64    `json:"id"`
	At   time.Time `json:"at"`
	Kind Kind      `json:"kind"`
	// Subject is what it happened to: a virtual router, a health check's target, a
	// process, an address, or the name of an operator's command.
	Subject string `json:"subject,omitempty"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	// Reason is the typed reason where there is one, unchanged.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// By is who asked, of what an operator asked for.
	By string `json:"by,omitempty"`
}

// String says it in one line, without the time.
func (e Event) String() string {
	var b strings.Builder
	b.WriteString(string(e.Kind))
	if e.Subject != "" {
		fmt.Fprintf(&b, " %s", e.Subject)
	}
	switch {
	case e.From != "" && e.To != "":
		fmt.Fprintf(&b, ": %s to %s", e.From, e.To)
	case e.To != "":
		fmt.Fprintf(&b, ": %s", e.To)
	}
	var why []string
	for _, s := range []string{e.Reason, e.Detail} {
		if s != "" {
			why = append(why, s)
		}
	}
	if len(why) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(why, ", "))
	}
	if e.By != "" {
		fmt.Fprintf(&b, ", by %s", e.By)
	}
	return b.String()
}
