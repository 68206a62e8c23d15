package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"
)

func TestOnceChecksEachTargetOneTime(t *testing.T) {
	answers, refuses := listen(t, discard), refusing(t)
	var targets []Target
	want := map[string]Reason{"bad": ReasonInvalid}
	for i := range 3 * onceLimit {
		good, bad := target(fmt.Sprint("good ", i)), target(fmt.Sprint("bad ", i))
		good.Address, bad.Address = answers, refuses
		targets = append(targets, good, bad)
		want[good.ID], want[bad.ID] = ReasonConnected, ReasonRefused
	}
	targets = append(targets, target("bad", func(t *Target) { t.Type = "pigeon" }))
	got := make(map[string]Reason)
	err := Once(t.Context(), targets, slog.New(slog.DiscardHandler), func(t Target, r Result, _ time.Duration) {
		if _, twice := got[t.ID]; twice {
			r.Reason = "told twice"
		}
		got[t.ID] = r.Reason
	})
	if err != nil || len(got) != len(want) {
		t.Errorf("%d of %d targets are told of (%v)", len(got), len(want), err)
	}
	for id, reason := range want {
		if got[id] != reason {
			t.Errorf("%s: %q, want %q", id, got[id], reason)
		}
	}
}

func TestOnceEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	slow := target("slow", func(t *Target) { t.Timeout = time.Hour })
	slow.Address = hostile(t, silent)
	err := Once(ctx, []Target{slow}, slog.New(slog.DiscardHandler), func(Target, Result, time.Duration) { t.Error("told of a check that was broken off") })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
