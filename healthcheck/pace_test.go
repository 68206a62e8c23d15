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
	for _, every := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Minute} {
		var latest time.Duration
		for i := range 1000 {
			after := firstCheck(now, Target{ID: fmt.Sprint(i), Every: every}).Sub(now)
			latest = max(latest, after)
		}
		bound := min(every, 250*time.Millisecond)
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

		next := nextCheck(base, now, target, random)

		jitter := target.Every / 20
		if wait := next.Sub(now); wait <= 0 || wait > target.Every+jitter {
			t.Fatalf("waits %s at an interval of %s", wait, target.Every)
		}
		if off := next.Sub(base.Add(phase(target.ID, target.Every))) % target.Every; off < 0 || off > jitter {
			t.Fatalf("is %s off its slot, want 0..%s", off, jitter)
		}
	})
}
