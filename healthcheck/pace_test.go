package healthcheck

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPhaseSpreadsSimilarIDsEvenly(t *testing.T) {
	const ids, slots = 10000, 100
	var counts [slots]int
	for i := range ids {
		p := phase(fmt.Sprintf("tcp 10.0.0.%d:80", i), slots*time.Millisecond)
		counts[p/time.Millisecond]++
	}
	// 100 are expected in each; the standard deviation is 10.
	for slot, n := range counts {
		if n < 50 || n > 150 {
			t.Errorf("slot %d of %d has %d of %d ids", slot, slots, n, ids)
		}
	}
}

func TestFirstCheckComesSoon(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		every time.Duration
		count int
		bound time.Duration
	}{
		{10 * time.Millisecond, 1, 10 * time.Millisecond},
		{100 * time.Millisecond, 1, 100 * time.Millisecond},
		{time.Minute, 1, 250 * time.Millisecond},
		{time.Minute, 2500, 250 * time.Millisecond},
		{time.Minute, 100_000, 10 * time.Second},
		{5 * time.Second, 100_000, 5 * time.Second},
	} {
		every, bound := c.every, c.bound
		var latest time.Duration
		for i := range 1000 {
			after := firstCheck(now, Target{ID: fmt.Sprint(i), Every: every}, c.count).Sub(now)
			latest = max(latest, after)
		}
		if latest >= bound || latest < bound*9/10 {
			t.Errorf("every %s: the latest of 1000 first checks comes after %s, want just under %s", every, latest, bound)
		}
	}
}

func TestNextCheckIsTheNextSlotPlusJitter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := time.Unix(1000, 0)
		target := Target{
			ID:    rapid.String().Draw(t, "id"),
			Every: time.Duration(rapid.Int64Range(int64(MinEvery), int64(time.Hour)).Draw(t, "every")),
		}
		now := base.Add(time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "elapsed")))
		random := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed")))

		next := nextCheck(base, now, target.ID, target.Every, random)

		jitter := target.Every / 20
		if wait := next.Sub(now); wait <= 0 || wait > target.Every+jitter {
			t.Fatalf("waits %s at an interval of %s", wait, target.Every)
		}
		if off := next.Sub(base.Add(phase(target.ID, target.Every))) % target.Every; off < 0 || off > jitter {
			t.Fatalf("is %s off its slot, want 0..%s", off, jitter)
		}
		if tick := min(target.Every/200, 5*time.Millisecond); next.Sub(base)%tick != 0 {
			t.Fatalf("is %s after a tick of %s", next.Sub(base)%tick, tick)
		}
	})
}

func TestIntervalsFollowWhatIsBelieved(t *testing.T) {
	paced := func(t *Target) {
		t.Every, t.EveryDoubt, t.EveryDown, t.EverySteady = 10*time.Second, time.Second, 20*time.Second, 40*time.Second
		t.Fall, t.Rise = 3, 2
	}
	b := newTable(t, 10)
	b.assign(target("a", paced))
	var last time.Time
	wait := func(r Result) time.Duration {
		b.check("a", r)
		before := last
		last = b.now
		return b.now.Sub(before)
	}
	expect := func(what string, r Result, low, high time.Duration) {
		t.Helper()
		if got := wait(r); got < low || got > high {
			t.Errorf("%s: checked after %s, want %s to %s", what, got, low, high)
		}
	}
	const every, slack = 10 * time.Second, 500 * time.Millisecond // jitter is 5 percent at most
	wait(pass)
	wait(pass)
	expect("up", refuse, every-slack, every+slack)
	expect("after a failure", refuse, time.Second, time.Second)
	expect("after the second", refuse, time.Second, time.Second) // down now
	wait(refuse)
	expect("down", refuse, 2*every-2*slack, 2*every+2*slack)
	expect("down", pass, 2*every-2*slack, 2*every+2*slack)
	expect("after a success", pass, time.Second, time.Second) // up now
	for up := b.now; b.now.Sub(up) < steadyAfter; {
		wait(pass)
	}
	wait(pass)
	expect("steady", pass, 4*every-4*slack, 4*every+4*slack)
	expect("steady", refuse, 4*every-4*slack, 4*every+4*slack)
	expect("after a failure", pass, time.Second, time.Second)
	wait(pass)
	expect("steady no more", pass, every-slack, every+slack)
}

// A server that falls silent is out after (fall - 1) doubtful intervals and one
// timeout, counted from the start of the first check that fails.
func TestTheTimeToAJudgementIsBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		timeout := time.Duration(rapid.Int64Range(10, 1000).Draw(rt, "timeout")) * time.Millisecond
		doubt := timeout + time.Duration(rapid.Int64Range(0, 1000).Draw(rt, "more"))*time.Millisecond
		fall := rapid.IntRange(1, 6).Draw(rt, "fall")
		b := newTable(t, 10)
		b.assign(target("a", func(t *Target) {
			t.Every, t.EveryDoubt, t.Timeout, t.Fall = 10*time.Second, doubt, timeout, fall
		}))
		b.check("a", pass)
		var begun time.Time
		for range 2 * fall {
			for _, e := range b.step() {
				if begun.IsZero() {
					begun = b.now
				}
				b.now = b.now.Add(timeout)
				b.finish(nil, b.now, e, e.run, Result{Outcome: Fail, Reason: ReasonTimeout}, timeout)
			}
			if b.verdicts()[0].Status == Down {
				break
			}
		}
		bound := time.Duration(fall-1)*doubt + timeout
		if took := b.now.Sub(begun); b.verdicts()[0].Status != Down || took > bound {
			rt.Fatalf("%s after %s, want down within %s", b.verdicts()[0].Status, took, bound)
		}
	})
}

func TestAStuckCheckInDoubtDoesNotSpin(t *testing.T) {
	b := newTable(t, 10)
	b.assign(target("a", func(t *Target) { t.EveryDoubt = time.Second }))
	b.step() // begins and never returns
	for range 3 {
		before := b.now
		if start := b.step(); len(start) != 0 {
			t.Fatal("a second check begins beside the first")
		}
		if b.now.Sub(before) < time.Second {
			t.Fatalf("judged again after %s, want 1s at least", b.now.Sub(before))
		}
	}
}
