package ipvsctl

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Timeouts are how long connections without packets are kept, in whole seconds.
type Timeouts struct {
	TCP    time.Duration `json:"tcp,omitempty"`     // established
	TCPFin time.Duration `json:"tcp_fin,omitempty"` // after a FIN
	UDP    time.Duration `json:"udp,omitempty"`
}

// TimeoutHandle is the timeouts of one network namespace.
type TimeoutHandle interface {
	Timeouts(ctx context.Context) (Timeouts, error)
	// SetTimeouts sets those that are not 0.
	SetTimeouts(ctx context.Context, t Timeouts) error
}

// HeldTimeouts are timeouts of which somebody takes care: what they were before
// and what they were set to; 0 is one that was not touched.
type HeldTimeouts struct {
	Earlier Timeouts `json:"earlier"`
	Set     Timeouts `json:"set"`
}

// Plan says which timeouts have to be set, and what is held afterwards. One that
// is desired no longer gets its earlier value back, unless somebody else has
// changed it meanwhile. It is pure.
func (h HeldTimeouts) Plan(desired, live Timeouts) (set Timeouts, held HeldTimeouts) {
	held = h
	for i := range timeoutFields {
		field := func(t *Timeouts) *time.Duration { return timeoutFields[i].of(t) }
		want, now := *field(&desired), *field(&live)
		earlier, ours := field(&held.Earlier), field(&held.Set)
		switch {
		case want != 0 && *earlier == 0:
			*earlier = now
			fallthrough
		case want != 0:
			*ours = want
			if now != want {
				*field(&set) = want
			}
		case *earlier != 0:
			if now == *ours && now != *earlier {
				*field(&set) = *earlier
			}
			*earlier, *ours = 0, 0
		}
	}
	return set, held
}

// KeepTimeouts makes the timeouts the desired ones and reads them back. What is
// held is given to keep before anything is set, and once more where a timeout was
// given back. It says what was set.
func KeepTimeouts(ctx context.Context, h TimeoutHandle, held HeldTimeouts, desired Timeouts, keep func(HeldTimeouts) error) (Timeouts, error) {
	live, err := h.Timeouts(ctx)
	if err != nil {
		return Timeouts{}, err
	}
	set, next := held.Plan(desired, live)
	both := next
	for _, f := range timeoutFields {
		if *f.of(&both.Earlier) == 0 { // until it has been given back
			*f.of(&both.Earlier), *f.of(&both.Set) = *f.of(&held.Earlier), *f.of(&held.Set)
		}
	}
	if err := keep(both); err != nil {
		return Timeouts{}, err
	}
	if set != (Timeouts{}) {
		if err := h.SetTimeouts(ctx, set); err != nil {
			return Timeouts{}, err
		}
		if live, err = h.Timeouts(ctx); err != nil {
			return set, err
		}
	}
	for _, f := range timeoutFields {
		if want := *f.of(&set); want != 0 && *f.of(&live) != want {
			return set, fmt.Errorf("timeout %s = %v: %w: %v", f.name, want, ErrNotTaken, *f.of(&live))
		}
	}
	return set, keep(next)
}

var timeoutFields = []struct {
	name string
	of   func(*Timeouts) *time.Duration
}{
	{"tcp", func(t *Timeouts) *time.Duration { return &t.TCP }},
	{"tcp_fin", func(t *Timeouts) *time.Duration { return &t.TCPFin }},
	{"udp", func(t *Timeouts) *time.Duration { return &t.UDP }},
}

// String lists those that are not 0, as in "tcp 15m0s, udp 5m0s".
func (t Timeouts) String() string {
	var parts []string
	for _, f := range timeoutFields {
		if d := *f.of(&t); d != 0 {
			parts = append(parts, fmt.Sprintf("%s %v", f.name, d))
		}
	}
	return strings.Join(parts, ", ")
}
