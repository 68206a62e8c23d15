// Package track owns what is watched beside the adverts: the debouncing of links,
// what the states of all trackers make of a virtual router's priority, and the
// checks of what is no real server (a process, a neighbour, a number in a file).
//
// It watches nothing by itself. The director asks it what to make of what links,
// pools and health checks say; the checker runs its checks.
package track

import (
	"fmt"
	"slices"
	"strings"
)

// Status is what is believed of a tracker. The zero value is Unknown.
type Status uint8

// The statuses.
const (
	Unknown Status = iota // not judged yet
	Up
	Down
)

var statusNames = [...]string{Unknown: "unknown", Up: "up", Down: "down"}

// String returns "unknown", "up" or "down".
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}

// MaxWeight is the largest change of a priority that a tracker may ask for. A
// number of -MaxWeight or less in a file means not eligible.
const MaxWeight = 254

// Owner is the priority of the owner of the addresses, which no weight changes
// (RFC 9568, section 5.2.4).
const Owner = 255

// Factor is one tracker's part in a standing.
type Factor struct {
	// Name is how people know it: "interface eth1".
	Name   string
	Status Status
	// Weight of 0 makes an unhealthy tracker a fault: the router is not eligible.
	// A negative one is added to the priority while the tracker is down, a
	// positive one while it is up.
	Weight int
	// Reads marks a tracker whose number is the change of the priority; Weight
	// has no meaning then.
	Reads  bool
	Number int
}

// required reports whether the tracker decides on eligibility alone.
func (f Factor) required() bool { return f.Weight == 0 && !f.Reads }

// Change is what the tracker adds to the priority now.
func (f Factor) Change() int {
	switch {
	case f.Reads && f.Status == Up:
		return f.Number
	case f.Reads:
		return 0
	case f.Weight < 0 && f.Status == Down, f.Weight > 0 && f.Status == Up:
		return f.Weight
	}
	return 0
}

// Worst is the least that the tracker may add to the priority. A file may say
// anything.
func (f Factor) Worst() int {
	switch {
	case f.Reads:
		return -MaxWeight
	case f.Weight < 0:
		return f.Weight
	}
	return 0
}

// Best is the most that the tracker may add to the priority.
func (f Factor) Best() int {
	switch {
	case f.Reads:
		return MaxWeight
	case f.Weight > 0:
		return f.Weight
	}
	return 0
}

// Fails reports whether the tracker makes the router not eligible now.
func (f Factor) Fails() bool {
	return f.required() && f.Status == Down || f.Reads && f.Status == Up && f.Number <= -MaxWeight
}

// Disables reports whether the tracker can ever make the router not eligible.
func (f Factor) Disables() bool { return f.required() || f.Reads }

// Standing is what the trackers make of a virtual router.
type Standing struct {
	// Priority is the effective one, 1..255.
	Priority uint8
	// Eligible says whether the router may take part. Where it does not, Why says
	// what keeps it out.
	Eligible bool
	// Waiting says that a tracker which was not judged yet keeps the router out.
	Waiting bool
	// Why names the trackers that made the standing what it is; empty: none did.
	Why string
}

// Judge returns the standing of a router of a base priority, 1..255.
//
// Nothing is judged before it was checked: while a tracker is unknown, a router
// that was eligible before goes on, with the priority that it has if the tracker
// has a weight, and one that was not waits. Once the wait is over, late, an unknown
// tracker with a weight counts at its worst, so that a preference which cannot be
// found out keeps nobody out; a required one still does.
func Judge(base uint8, factors []Factor, before Standing, late bool) Standing {
	s := Standing{Eligible: true}
	sum := int(base)
	unsure := false
	var why []string
	for _, f := range factors {
		known := f.Status != Unknown
		switch {
		case f.Fails():
			s.Eligible = false
			why = append(why, f.Name+" "+f.says())
		case known:
			if change := f.Change(); change != 0 {
				sum += change
				why = append(why, f.Name+" "+f.says()+f.suffix(change))
			}
		case f.required() || !late:
			if !before.Eligible {
				s.Eligible, s.Waiting = false, true
				why = append(why, f.Name+" not checked yet")
			}
			unsure = unsure || !f.required()
		case !f.Reads: // a number that nobody knows is none
			sum += f.Worst()
			why = append(why, fmt.Sprintf("%s not checked in time: %+d", f.Name, f.Worst()))
		}
	}
	switch {
	case base == Owner:
		s.Priority = Owner
	case unsure && before.Eligible && before.Priority != Owner:
		s.Priority = before.Priority
	default:
		s.Priority = Clamp(sum)
	}
	s.Waiting = s.Waiting && !slices.ContainsFunc(factors, Factor.Fails)
	s.Why = strings.Join(why, ", ")
	return s
}

// says words the status.
func (f Factor) says() string {
	if f.Reads && f.Status == Up {
		return fmt.Sprintf("says %d", f.Number)
	}
	return f.Status.String()
}

// suffix words the change where says does not.
func (f Factor) suffix(change int) string {
	if f.Reads {
		return ""
	}
	return fmt.Sprintf(": %+d", change)
}

// Clamp brings a sum into the range of priorities that are not an owner's.
func Clamp(sum int) uint8 { return uint8(min(max(sum, 1), Owner-1)) }
