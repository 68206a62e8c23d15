package config

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/internal/track"
)

// Kinds of trackers.
const (
	TrackInterface = "interface"
	TrackScript    = "script"
	TrackFile      = "file"
	TrackNumber    = "number"
	TrackProcess   = "process"
	TrackPing      = "ping"
	TrackARP       = "arp"
	TrackService   = "service"
)

// Tracker is one thing besides the adverts that a virtual router depends on.
type Tracker struct {
	Kind string // one of the kinds
	// Subject is what is tracked: the name of an interface, process or service, a
	// path, an address.
	Subject string
	// Weight changes the priority, -254..254; 0: while the tracker is down, the
	// router is not eligible.
	Weight int
	// UpDelay and DownDelay debounce an interface, 0..255s.
	UpDelay, DownDelay time.Duration
	// Check says how everything but interfaces and services is checked; its types
	// are those of healthcheck and track.
	Check *Check
	// Address is that of a ping or arp check.
	Address netip.Addr
}

// Name is how people know the tracker.
func (t Tracker) Name() string {
	switch t.Kind {
	case TrackPing, TrackARP:
		return "gateway " + t.Subject + " by " + t.Kind
	case TrackNumber:
		return "number in " + t.Subject
	}
	return t.Kind + " " + t.Subject
}

// Target names the check of the tracker, or is empty if there is none. Trackers
// that are checked in the same way share it.
func (t Tracker) Target() string {
	if t.Check == nil {
		return ""
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %s", t.Address, t.Check)
	return fmt.Sprintf("track %s #%08x", t.Name(), h.Sum32())
}

// Factor is the tracker's part in a priority, not judged yet.
func (t Tracker) Factor() track.Factor {
	return track.Factor{Name: t.Name(), Weight: t.Weight, Reads: t.Kind == TrackNumber}
}

// String describes the tracker on one line.
func (t Tracker) String() string {
	parts := []string{t.Name()}
	if t.Weight != 0 {
		parts = append(parts, fmt.Sprintf("weight %+d", t.Weight))
	}
	if t.UpDelay != 0 || t.DownDelay != 0 {
		parts = append(parts, fmt.Sprintf("down after %s, up after %s", plain(t.DownDelay), plain(t.UpDelay)))
	}
	if t.Check != nil {
		parts = append(parts, t.Check.String())
	}
	return strings.Join(parts, ", ")
}

// canonicalTrack is the form of trackers in Canonical: sorted by name, since their
// order decides nothing.
func canonicalTrack(trackers []Tracker) []map[string]any {
	var all []map[string]any
	sorted := slices.SortedFunc(slices.Values(trackers), func(a, b Tracker) int { return strings.Compare(a.Name(), b.Name()) })
	for _, t := range sorted {
		all = append(all, t.canonical())
	}
	return all
}

func (t Tracker) canonical() map[string]any {
	c := map[string]any{}
	if t.Check != nil {
		c = t.Check.canonical()
		delete(c, "type")
	}
	move := func(from, to string) {
		c[to] = c[from]
		delete(c, from)
	}
	switch t.Kind {
	case TrackInterface:
		c["interface"], c["up_delay"], c["down_delay"] = t.Subject, plain(t.UpDelay), plain(t.DownDelay)
	case TrackScript:
		move("command", "script")
	case TrackFile:
		move("path", "file")
	case TrackNumber:
		move("path", "file")
		c["number"] = true
	case TrackProcess:
		move("name", "process")
	case TrackPing, TrackARP:
		c["gateway"], c["by"] = t.Address.String(), t.Kind
	case TrackService:
		c["service"], c["below"] = t.Subject, "quorum"
	}
	if t.Weight != 0 {
		c["weight"] = t.Weight
	}
	return c
}
