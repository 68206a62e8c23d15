package healthcheck

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestATargetThatKeepsFallingNeedsMoreSuccesses(t *testing.T) {
	now := time.Unix(1000, 0)
	var f Flaps
	for _, want := range []int{3, 3, 3, 6, 12, 24, 24} { // before each fall
		if got := f.Rise(now, 3); got != want {
			t.Errorf("with a memory of %.2f: %d successes, want %d", f.at(now), got, want)
		}
		now = now.Add(time.Second)
		f = f.Fell(now)
	}
	for _, test := range []struct {
		after time.Duration
		want  int
	}{{time.Minute, 24}, {5 * time.Minute, 6}, {10 * time.Minute, 3}, {24 * time.Hour, 3}} {
		if got := f.Rise(now.Add(test.after), 3); got != test.want {
			t.Errorf("%s later: %d successes, want %d", test.after, got, test.want)
		}
	}
}

func TestFlapsAreForgottenAndBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1000, 0)
		var f Flaps
		for _, gap := range rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 0, 50).Draw(t, "gaps") {
			now = now.Add(time.Duration(gap))
			before := f.at(now)
			f = f.Fell(now)
			if f.at(now) != before+1 {
				t.Fatalf("a fall makes %v of %v", f.at(now), before)
			}
		}
		if got := f.Rise(now, 2); got < 2 || got > 16 {
			t.Fatalf("%d successes, want 2 to 16", got)
		}
		if got := f.Rise(now.Add(time.Hour), 2); got != 2 {
			t.Fatalf("%d successes after an hour, want 2", got)
		}
		if got := f.Rise(now.Add(-time.Hour), 2); got > 16 { // a clock that was set back
			t.Fatalf("%d successes, want up to 16", got)
		}
	})
}

// falls has the target fall once, and returns how many successes brought it back.
func falls(b *table) (successes int) {
	for range 3 {
		b.check("a", refuse)
	}
	if got := b.verdicts()[0].Status; got != Down {
		b.t.Fatalf("status = %s after three failures, want down", got)
	}
	for b.verdicts()[0].Status == Down {
		b.check("a", pass)
		successes++
	}
	return successes
}

func TestDampingOnTheBoard(t *testing.T) {
	for _, damping := range []bool{true, false} {
		b := newTable(t, 10)
		b.assign(target("a", func(t *Target) { t.Every, t.Damping = time.Second, damping }))
		b.check("a", pass)
		var got []int
		for range 4 {
			got = append(got, falls(b))
		}
		want := [4]int{2, 2, 4, 8}
		if !damping {
			want = [4]int{2, 2, 2, 2}
		}
		if [4]int(got) != want {
			t.Errorf("damping %v: %v successes bring it back, want %v", damping, got, want)
		}
	}
}
