package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// harness runs a Runner with a checker of the test's in a synctest bubble.
type harness struct {
	*Runner
	stop func() time.Duration // ends Run and returns how long that took
	log  strings.Builder      // to be read after stop

	mu    sync.Mutex
	given []Verdict // guarded by mu
}

func run(t *testing.T, check Checker) *harness {
	h := &harness{}
	h.Runner = NewRunner(func(v Verdict) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.given = append(h.given, v)
	}, slog.New(slog.NewTextHandler(&h.log, nil)))
	h.prepare = func(Target) (Checker, error) { return check, nil }
	h.isLight = func(Target) bool { return false }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	h.stop = func() time.Duration {
		before := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		return time.Since(before)
	}
	return h
}

// verdicts returns all that were given out, in order.
func (h *harness) verdicts() []Verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.given)
}

func (h *harness) await(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestRunnerSpreadsTheChecksOfManyTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count, every = 1000, 10 * time.Second
		var mu sync.Mutex
		var starts []time.Duration
		begun := time.Now()
		h := run(t, func(context.Context, time.Time, Target) Result {
			mu.Lock()
			defer mu.Unlock()
			starts = append(starts, time.Since(begun))
			return pass
		})
		var targets []Target
		for i := range count {
			targets = append(targets, target(fmt.Sprintf("192.0.2.1:%d", i)))
		}
		h.Set(targets, nil)
		h.await(every + firstWithin)
		h.stop()

		first := 0
		var seconds [11]int
		for _, s := range starts {
			if s < firstWithin {
				first++
			}
			seconds[s/time.Second]++
		}
		// The first round is over at once, the second one is spread over the interval.
		if first < count || first > count+2*count/40 {
			t.Errorf("%d checks start within the first %s, want %d and few more", first, firstWithin, count)
		}
		for s := 1; s < 10; s++ {
			if n := seconds[s]; n < 60 || n > 140 {
				t.Errorf("%d checks start in second %d, want about 100", n, s)
			}
		}
	})
}

func TestRunnerKeepsItsPhaseThroughEqualSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts atomic.Int32
		h := run(t, func(context.Context, time.Time, Target) Result { starts.Add(1); return pass })
		for range 100 {
			h.Set([]Target{target("a")}, nil)
			h.await(time.Second)
		}
		h.stop()
		if n := starts.Load(); n < 10 || n > 12 {
			t.Errorf("%d checks in 100 s at an interval of 10 s, want 11", n)
		}
	})
}

func TestSetDoesNotWaitForASlowSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		given := make(chan string, 10)
		r := NewRunner(func(v Verdict) { given <- v.ID; <-release }, slog.New(slog.DiscardHandler))
		r.prepare = func(Target) (Checker, error) {
			return func(context.Context, time.Time, Target) Result { return pass }, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()

		known := map[string]Verdict{"c": {Status: Up}}
		r.Set([]Target{target("a")}, nil)
		<-given
		before := time.Now()
		r.Set([]Target{target("b"), target("c")}, known)
		r.Set([]Target{target("c")}, nil) // the latest counts, and what is known is not lost
		if waited := time.Since(before); waited != 0 {
			t.Errorf("Set waited %s", waited)
		}
		close(release)
		verdicts, err := r.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// The loop may answer before it takes the set.
		for len(verdicts) == 1 && verdicts[0].ID == "a" {
			if verdicts, err = r.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want := []Verdict{{ID: "c", Status: Up, Known: true}}
		if d := cmp.Diff(want, verdicts); d != "" {
			t.Errorf("verdicts (-want +got):\n%s", d)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestAHangingCheckIsBoundedAndDisturbsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		var others atomic.Int32
		h := run(t, func(_ context.Context, _ time.Time, t Target) Result {
			if t.ID == "deaf" {
				<-hang // ignores its context
				return pass
			}
			others.Add(1)
			return pass
		})
		h.Set([]Target{target("deaf", func(t *Target) { t.Fall = 1 }), target("other")}, nil)
		h.await(firstWithin + time.Second + abandonAfter)
		var got Verdict
		for _, v := range h.verdicts() {
			if v.ID == "deaf" {
				got = v
			}
		}
		if got.Status != Down || got.Reason != ReasonTimeout {
			t.Errorf("verdict = %+v, want down by timeout", got)
		}
		h.await(100 * time.Second)
		if n := others.Load(); n < 10 {
			t.Errorf("the other target was checked %d times in 100 s, want 11", n)
		}
		if took := h.stop(); took > abandonAfter {
			t.Errorf("Run took %s to end", took)
		}
	})
}

func TestRunEndsTheChecksInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int32
		h := run(t, func(ctx context.Context, _ time.Time, _ Target) Result {
			<-ctx.Done()
			ended.Add(1)
			return refuse
		})
		h.Set([]Target{target("a"), target("b")}, nil)
		h.await(firstWithin)
		if took := h.stop(); took != 0 {
			t.Errorf("Run took %s to end", took)
		}
		if n := ended.Load(); n != 2 {
			t.Errorf("%d of 2 checks in flight have ended", n)
		}
		if got := h.verdicts(); len(got) != 0 {
			t.Errorf("a check cut short is judged: %+v", got)
		}
	})
}

func TestRunDoesNotWaitForDeafChecksAndTheyEndAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine stays behind
		hang := make(chan struct{})
		defer close(hang)
		h := run(t, func(context.Context, time.Time, Target) Result { <-hang; return pass })
		var targets []Target
		for i := range 200 {
			targets = append(targets, target(fmt.Sprint(i)))
		}
		h.Set(targets, nil)
		h.await(firstWithin)
		if took := h.stop(); took != abandonAfter {
			t.Errorf("Run took %s to end, want %s", took, abandonAfter)
		}
		if want := "checks do not end"; !strings.Contains(h.log.String(), want) {
			t.Errorf("log = %q, want %q in it", h.log.String(), want)
		}
	})
}

func TestAPanickingCheckerTakesNobodyAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := run(t, func(_ context.Context, _ time.Time, t Target) Result {
			if t.ID == "bad" {
				panic("index out of range")
			}
			return pass
		})
		h.Set([]Target{target("bad"), target("good")}, nil)
		h.await(firstWithin)
		got, err := h.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got[0].Status != Unknown || got[0].Reason != ReasonPanic || got[0].Detail != "index out of range" {
			t.Errorf("bad = %+v, want unknown by panic", got[0])
		}
		if got[1].Status != Up {
			t.Errorf("good = %+v, want up", got[1])
		}
		h.stop()
		if !strings.Contains(h.log.String(), "runner_test.go") {
			t.Error("the log does not say where it panicked")
		}
	})
}

func TestSnapshotGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRunner(func(Verdict) {}, slog.New(slog.DiscardHandler)) // nobody runs it
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Snapshot(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Snapshot: %v, want its deadline", err)
		}
	})
}

func TestRunnerLogsAWarningOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		result := Result{Outcome: Pass, Reason: ReasonExpires, Detail: "in 9h", Warning: true}
		h := run(t, func(context.Context, time.Time, Target) Result {
			mu.Lock()
			defer mu.Unlock()
			return result
		})
		become := func(r Result) {
			mu.Lock()
			result = r
			mu.Unlock()
			h.await(time.Minute)
		}
		h.Set([]Target{target("a")}, nil)
		h.await(time.Minute)
		become(Result{Outcome: Inconclusive, Reason: ReasonCannot, Detail: "no such file"})
		become(pass)
		if last := h.verdicts()[len(h.verdicts())-1]; last.Warning || last.Status != Up {
			t.Errorf("last verdict = %+v, want up without a warning", last)
		}
		become(Result{Outcome: Pass, Reason: ReasonExpires, Detail: "in 8h", Warning: true})
		if last := h.verdicts()[len(h.verdicts())-1]; !last.Warning || last.Status != Up {
			t.Errorf("last verdict = %+v, want up with a warning", last)
		}
		h.stop()
		var got []string
		for line := range strings.Lines(h.log.String()) {
			_, said, _ := strings.Cut(strings.TrimSpace(line), "reason=")
			got = append(got, said)
		}
		want := []string{`"certificate expires soon" detail="in 9h"`, `"check cannot be made" detail="no such file"`, `"certificate expires soon" detail="in 8h"`}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("log (-want +got):\n%s", d)
		}
	})
}
