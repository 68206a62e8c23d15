package ipvsctl_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/ipvsctl"
)

const minute = time.Minute

var kernels = ipvsctl.Timeouts{TCP: 15 * minute, TCPFin: 2 * minute, UDP: 5 * minute}

func TestTimeoutsAreSetAndGivenBack(t *testing.T) {
	type held = ipvsctl.HeldTimeouts
	ours := held{Earlier: ipvsctl.Timeouts{TCP: 15 * minute}, Set: ipvsctl.Timeouts{TCP: minute}}
	for name, c := range map[string]struct {
		held          held
		desired, live ipvsctl.Timeouts
		set           ipvsctl.Timeouts
		next          held
	}{
		"nothing is desired": {live: kernels},
		"one is desired": {
			desired: ipvsctl.Timeouts{TCP: minute}, live: kernels, set: ipvsctl.Timeouts{TCP: minute}, next: ours,
		},
		"it is in force": {held: ours, desired: ipvsctl.Timeouts{TCP: minute}, live: ipvsctl.Timeouts{TCP: minute}, next: ours},
		"somebody changed it": {
			held: ours, desired: ipvsctl.Timeouts{TCP: minute}, live: kernels, set: ipvsctl.Timeouts{TCP: minute}, next: ours,
		},
		"another value is desired": {
			held: ours, desired: ipvsctl.Timeouts{TCP: 2 * minute}, live: ipvsctl.Timeouts{TCP: minute}, set: ipvsctl.Timeouts{TCP: 2 * minute},
			next: held{Earlier: ipvsctl.Timeouts{TCP: 15 * minute}, Set: ipvsctl.Timeouts{TCP: 2 * minute}},
		},
		"it is desired no longer": {held: ours, live: ipvsctl.Timeouts{TCP: minute}, set: ipvsctl.Timeouts{TCP: 15 * minute}},
		"and somebody changed it": {held: ours, live: ipvsctl.Timeouts{TCP: 3 * minute}},
		"another one is desired instead": {
			held: ours, desired: ipvsctl.Timeouts{UDP: minute}, live: ipvsctl.Timeouts{TCP: minute, UDP: 5 * minute},
			set:  ipvsctl.Timeouts{TCP: 15 * minute, UDP: minute},
			next: held{Earlier: ipvsctl.Timeouts{UDP: 5 * minute}, Set: ipvsctl.Timeouts{UDP: minute}},
		},
	} {
		if set, next := c.held.Plan(c.desired, c.live); set != c.set || next != c.next {
			t.Errorf("%s: sets %v and holds %+v, want %v and %+v", name, set, next, c.set, c.next)
		}
	}
}

// timeoutKernel is a kernel with timeouts, that tells in which order it is used.
type timeoutKernel struct {
	live  ipvsctl.Timeouts
	deaf  bool
	calls []string
}

func (k *timeoutKernel) Timeouts(context.Context) (ipvsctl.Timeouts, error) { return k.live, nil }

func (k *timeoutKernel) SetTimeouts(_ context.Context, t ipvsctl.Timeouts) error {
	k.calls = append(k.calls, "set "+t.String())
	if !k.deaf && t.TCP != 0 {
		k.live.TCP = t.TCP
	}
	return nil
}

func (k *timeoutKernel) keep(h ipvsctl.HeldTimeouts) error {
	k.calls = append(k.calls, "keep "+h.Set.String())
	return nil
}

// TestTimeoutsAreWrittenDownBeforeTheyAreSet, and forgotten after they were given
// back: a crash in between restores them later.
func TestTimeoutsAreWrittenDownBeforeTheyAreSet(t *testing.T) {
	k := &timeoutKernel{live: kernels}
	if _, err := ipvsctl.KeepTimeouts(t.Context(), k, ipvsctl.HeldTimeouts{}, ipvsctl.Timeouts{TCP: minute}, k.keep); err != nil {
		t.Fatal(err)
	}
	if want := []string{"keep tcp 1m0s", "set tcp 1m0s", "keep tcp 1m0s"}; !slices.Equal(k.calls, want) {
		t.Errorf("setting did %q, want %q", k.calls, want)
	}
	k.calls = nil
	held := ipvsctl.HeldTimeouts{Earlier: ipvsctl.Timeouts{TCP: 15 * minute}, Set: ipvsctl.Timeouts{TCP: minute}}
	if _, err := ipvsctl.KeepTimeouts(t.Context(), k, held, ipvsctl.Timeouts{}, k.keep); err != nil {
		t.Fatal(err)
	}
	if want := []string{"keep tcp 1m0s", "set tcp 15m0s", "keep "}; !slices.Equal(k.calls, want) {
		t.Errorf("giving back did %q, want %q", k.calls, want)
	}
}

func TestATimeoutThatTheKernelDoesNotTakeIsAnError(t *testing.T) {
	k := &timeoutKernel{live: kernels, deaf: true}
	_, err := ipvsctl.KeepTimeouts(t.Context(), k, ipvsctl.HeldTimeouts{}, ipvsctl.Timeouts{TCP: minute}, k.keep)
	if !errors.Is(err, ipvsctl.ErrNotTaken) {
		t.Errorf("KeepTimeouts = %v, want %v", err, ipvsctl.ErrNotTaken)
	}
}
