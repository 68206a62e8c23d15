package healthcheck

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestHistoryJoinsResultsThatAreAlike(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	var h history
	h = h.add(at(1), Up, pass, 2)
	h = h.add(at(2), Up, pass, 5)
	h = h.add(at(3), Up, Result{Outcome: Fail, Reason: ReasonTimeout, Detail: "one"}, 1)
	h = h.add(at(4), Up, Result{Outcome: Fail, Reason: ReasonTimeout, Detail: "two", Output: "said"}, 1)
	h = h.add(at(5), Down, Result{Outcome: Fail, Reason: ReasonTimeout}, 1)
	h = h.add(at(6), Down, Result{Outcome: Inconclusive, Reason: ReasonCannot}, 0)
	want := history{
		{First: at(1), Last: at(2), Count: 2, Passed: true, Status: Up, Reason: ReasonConnected, Longest: 5},
		{First: at(3), Last: at(4), Count: 2, Failed: true, Status: Up, Reason: ReasonTimeout, Detail: "two", Output: "said", Longest: 1},
		{First: at(5), Last: at(5), Count: 1, Failed: true, Status: Down, Reason: ReasonTimeout, Longest: 1},
		{First: at(6), Last: at(6), Count: 1, Status: Down, Reason: ReasonCannot},
	}
	if d := cmp.Diff(want, h); d != "" {
		t.Errorf("history (-want +got):\n%s", d)
	}
}

func TestFailuresOutliveSuccesses(t *testing.T) {
	var h history
	now := time.Unix(1000, 0)
	for i := range 5 {
		h = h.add(now, Up, pass, 0)
		h = h.add(now, Up, Result{Outcome: Fail, Reason: Reason(fmt.Sprint("failure ", i))}, 0)
	}
	for range 100_000 {
		h = h.add(now, Up, pass, 0)
	}
	failures := 0
	for _, r := range h {
		if r.Failed {
			failures++
		}
	}
	if failures != 5 || h[len(h)-1].Count != 100_000 {
		t.Errorf("%d of 5 failures are left, the last record counts %d", failures, h[len(h)-1].Count)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h history
		now := time.Unix(1000, 0)
		for _, kind := range rapid.SliceOfN(rapid.IntRange(0, 9), 0, 200).Draw(t, "kinds") {
			now = now.Add(time.Second)
			r := Result{Outcome: Outcome(kind % 3), Reason: Reason(fmt.Sprint(kind)), Warning: kind == 4}
			h = h.add(now, Up, r, 0)
			if len(h) > historyLimit || h.passes() > passLimit {
				t.Fatalf("%d records, %d of passes", len(h), h.passes())
			}
			if last := h[len(h)-1]; last.Last != now || last.Reason != r.Reason {
				t.Fatalf("the last record is %+v, want %+v", last, r)
			}
			for i := 1; i < len(h); i++ {
				if h[i].First.Before(h[i-1].Last) {
					t.Fatalf("record %d begins before the one before it ended", i)
				}
			}
		}
	})
}
