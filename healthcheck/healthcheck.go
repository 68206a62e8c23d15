// Package healthcheck finds out whether real servers answer. It owns the
// checkers (one file each), the hysteresis that turns single results into a
// status, and the Runner that paces the checks of many targets.
//
// It does not decide what a status means for a pool: weights, quorum and
// draining belong to whoever receives the verdicts.
package healthcheck

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Target is one thing to check. It is comparable: a Target that is equal to the
// one the Runner has goes on undisturbed.
type Target struct {
	// ID names the target; unique within one Set. A status belongs to an ID.
	ID string `json:"id"`
	// Type selects the checker; see Types.
	Type string `json:"type"`
	// Options are those of the Type; see Spec.
	Options Options `json:"options,omitempty"`
	// Address is where the check connects to, of either family.
	Address netip.AddrPort `json:"address"`
	// Mark is what the check's packets carry so that the director's forwarding takes
	// them to Real alone, wherever Address would lead; 0 is none. Address is the
	// virtual one then, and Real the server's own. Not every Type knows it; see
	// MarkedTypes.
	Mark uint32         `json:"mark,omitempty"`
	Real netip.AddrPort `json:"real,omitzero"`
	// Every is the time from the start of one check to the start of the next; at
	// least MinEvery.
	Every time.Duration `json:"every"`
	// EveryDoubt is the same while results are on their way to another status,
	// EveryDown while the target is down, EverySteady after ten minutes up without
	// a failure; each at least MinEvery, or 0 for Every.
	EveryDoubt  time.Duration `json:"every_doubt,omitempty"`
	EveryDown   time.Duration `json:"every_down,omitempty"`
	EverySteady time.Duration `json:"every_steady,omitempty"`
	// Damping raises Rise for a target that keeps falling; see Flaps.
	Damping bool `json:"damping,omitempty"`
	// Timeout bounds one check; more than 0. It may exceed Every: a target never
	// has two checks at a time.
	Timeout time.Duration `json:"timeout"`
	// Rise is the number of consecutive successes that bring a target that is
	// down back up; at least 1.
	Rise int `json:"rise"`
	// Fall is the number of consecutive failures that take a target down; at
	// least 1.
	Fall int `json:"fall"`
}

// MinEvery is the shortest interval between two checks of one target.
const MinEvery = 10 * time.Millisecond

// Validate returns an error that names the first field that is wrong.
func (t Target) Validate() error {
	_, err := checkerCache{}.prepare(t)
	return err
}

// validateTiming is Validate without Type and Options.
func (t Target) validateTiming() error {
	switch {
	case t.ID == "":
		return fmt.Errorf("target without an id")
	case !t.Address.IsValid() || t.Address.Port() == 0:
		return fmt.Errorf("address %s: not an address with a port", t.Address)
	case t.Mark != 0 && (!t.Real.IsValid() || t.Real.Port() == 0 || !slices.Contains(MarkedTypes(), t.Type)):
		return fmt.Errorf("mark %d: type %s of %s cannot be checked through a virtual address", t.Mark, t.Type, t.Real)
	case t.Every < MinEvery:
		return fmt.Errorf("every %s: shorter than %s", t.Every, MinEvery)
	case t.EveryDoubt != 0 && t.EveryDoubt < MinEvery, t.EveryDown != 0 && t.EveryDown < MinEvery, t.EverySteady != 0 && t.EverySteady < MinEvery:
		return fmt.Errorf("an interval is shorter than %s", MinEvery)
	case t.Timeout <= 0:
		return fmt.Errorf("timeout %s: not more than 0", t.Timeout)
	case t.Rise < 1:
		return fmt.Errorf("rise %d: less than 1", t.Rise)
	case t.Fall < 1:
		return fmt.Errorf("fall %d: less than 1", t.Fall)
	}
	return nil
}

// Status is what is believed of a target.
type Status string

// The statuses.
const (
	Unknown Status = "unknown" // not judged yet
	Up      Status = "up"
	Down    Status = "down"
)

// Verdict is what is believed of a target, why, and since when.
type Verdict struct {
	ID     string `json:"id"`
	Status Status `json:"status"`
	// Known marks a status from before a restart that no check of this Runner
	// has spoken on yet.
	Known bool `json:"known,omitempty"`
	// Since is when Status was reached.
	Since time.Time `json:"since"`
	// Checked is when the last check ended; zero before the first.
	Checked time.Time `json:"checked,omitzero"`
	// Reason, Detail and Duration are those of the last check.
	Reason   Reason        `json:"reason,omitempty"`
	Detail   string        `json:"detail,omitempty"`
	Duration time.Duration `json:"duration,omitempty"`
	// Warning is set where the last check asks for attention although it is no
	// failure of the server: it passed with a warning, or was inconclusive.
	Warning bool `json:"warning,omitempty"`
	// Share is the part of its weight that the server asked for in the last check
	// that passed.
	Share Share `json:"share,omitzero"`
	// Rising and Falling count the consecutive successes or failures towards a
	// change of Status.
	Rising  int `json:"rising,omitempty"`
	Falling int `json:"falling,omitempty"`
	// Flaps remembers the falls from up to down.
	Flaps Flaps `json:"flaps,omitzero"`
}

// Outcome is what one check says about its target.
type Outcome uint8

// The outcomes. Any other value counts as Inconclusive.
const (
	Pass Outcome = iota + 1
	Fail
	// Inconclusive: the check could not be made, for a reason that lies in this
	// host (no descriptor, no free port). It moves no status.
	Inconclusive
)

// Result is the outcome of one check.
type Result struct {
	Outcome Outcome
	Reason  Reason
	// Detail is free text for a person, such as the system's own message.
	Detail string
	// Output is what a script said, at most 1 KiB of it.
	Output string
	// Warning marks a pass that asks for attention.
	Warning bool
	// Share of its weight that the server asks for; it counts in a pass alone.
	Share Share
	// Decided marks the outcome as a decision of the server's own side, which
	// counts at once, without Rise and Fall.
	Decided bool
}

// Checker makes one check, which begins at now. It returns once ctx ends, which
// is after the target's timeout at the latest, and leaves nothing open or running
// behind.
type Checker func(ctx context.Context, now time.Time, t Target) Result
