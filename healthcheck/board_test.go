package healthcheck

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func target(id string, change ...func(*Target)) Target {
	t := Target{ID: id, Type: "tcp", Address: netip.MustParseAddrPort("192.0.2.1:80"),
		Every: 10 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3}
	for _, c := range change {
		c(&t)
	}
	return t
}

// table is a board with a clock that the test moves.
type table struct {
	*board
	t   *testing.T
	now time.Time
	out []Verdict
}

func newTable(t *testing.T, limit int) *table {
	now := time.Unix(1000, 0)
	return &table{board: newBoard(now, limit, rand.New(rand.NewPCG(1, 1)), checkerCache{}.prepare), t: t, now: now}
}

func (b *table) assign(targets ...Target) { b.out = b.set(b.now, targets, nil) }

// step goes to the next deadline and returns the entries to start.
func (b *table) step() []*entry {
	b.t.Helper()
	next, ok := b.deadline()
	if !ok {
		b.t.Fatal("nothing is due ever")
	}
	b.now = next
	start, out := b.advance(b.now)
	b.out = out
	return start
}

// check goes on until the check of id starts, which ends at once with r.
func (b *table) check(id string, r Result) []Verdict {
	b.t.Helper()
	for range 1000 {
		for _, e := range b.step() {
			out := b.finish(nil, b.now, e, e.run, r, time.Millisecond)
			if e.target.ID == id {
				return out
			}
		}
	}
	b.t.Fatalf("%s is never checked", id)
	return nil
}

var (
	pass   = Result{Outcome: Pass, Reason: ReasonConnected}
	refuse = Result{Outcome: Fail, Reason: ReasonRefused}
)

func TestEveryStatusChangeIsGivenOutWithItsReason(t *testing.T) {
	b := newTable(t, 10)
	b.assign(target("a"))
	begun := b.now

	got := b.check("a", refuse)
	want := []Verdict{{ID: "a", Status: Unknown, Since: begun, Checked: b.now, Reason: ReasonRefused, Duration: time.Millisecond, Falling: 1}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("first verdict (-want +got):\n%s", d)
	}
	b.check("a", refuse)
	got = b.check("a", refuse)
	want = []Verdict{{ID: "a", Status: Down, Since: b.now, Checked: b.now, Reason: ReasonRefused, Duration: time.Millisecond}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("third verdict (-want +got):\n%s", d)
	}
	down := b.now
	got = b.check("a", pass)
	want = []Verdict{{ID: "a", Status: Down, Since: down, Checked: b.now, Reason: ReasonConnected, Duration: time.Millisecond, Rising: 1}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("fourth verdict (-want +got):\n%s", d)
	}
}

func TestARefreshComesAtMostOnceASecond(t *testing.T) {
	b := newTable(t, 10)
	b.assign(target("a", func(t *Target) { t.Every = 100 * time.Millisecond }))
	begun := b.now
	var at []time.Time
	for b.now.Sub(begun) < 10*time.Second {
		if out := b.check("a", pass); len(out) > 0 {
			at = append(at, b.now)
		}
	}
	if len(at) < 9 || len(at) > 11 {
		t.Errorf("%d verdicts in 10 s without a change, want about 10", len(at))
	}
	for i := 1; i < len(at); i++ {
		if gap := at[i].Sub(at[i-1]); gap < time.Second {
			t.Errorf("refreshed after %s, want at least 1s", gap)
		}
	}
	// A change does not wait for the second.
	b.check("a", refuse)
	b.check("a", refuse)
	if out := b.check("a", refuse); len(out) != 1 || out[0].Status != Down {
		t.Errorf("at the third failure %+v is given out, want one verdict, down", out)
	}
}

func TestAnInconclusiveCheckMovesNothing(t *testing.T) {
	b := newTable(t, 10)
	b.assign(target("a"))
	b.check("a", pass)
	b.check("a", refuse)
	b.check("a", refuse)
	got := b.check("a", Result{Outcome: Inconclusive, Reason: ReasonResources})
	if len(got) != 1 || got[0].Status != Up || got[0].Falling != 2 || got[0].Reason != ReasonResources {
		t.Errorf("verdict = %+v, want up, 2 failures, reason %q", got, ReasonResources)
	}
	if got := b.check("a", Result{}); len(got) != 1 || got[0].Status != Up || got[0].Falling != 2 {
		t.Errorf("after a result without an outcome: %+v, want up, 2 failures", got)
	}
	if got := b.check("a", refuse); len(got) != 1 || got[0].Status != Down {
		t.Errorf("after the third failure: %+v, want down", got)
	}
}

func TestAnEqualSetChangesNothing(t *testing.T) {
	b := newTable(t, 10)
	b.assign(target("a"), target("b"))
	b.check("a", pass)
	before, deadline := b.verdicts(), b.timers[0].next
	for range 3 {
		b.now = b.now.Add(time.Millisecond)
		b.assign(target("b"), target("a"))
		if len(b.out) != 0 {
			t.Errorf("an equal set gives out %+v", b.out)
		}
	}
	if d := cmp.Diff(before, b.verdicts()); d != "" {
		t.Errorf("verdicts after equal sets (-want +got):\n%s", d)
	}
	if got := b.timers[0].next; !got.Equal(deadline) {
		t.Errorf("the next check moved from %s to %s", deadline, got)
	}
}

func TestOtherThresholdsKeepTheStatusAnotherAddressDoesNot(t *testing.T) {
	b := newTable(t, 10)
	b.assign(target("a"))
	b.check("a", pass)
	b.check("a", refuse)

	b.assign(target("a", func(t *Target) { t.Fall = 2; t.Every = time.Second }))
	if got := b.verdicts()[0]; got.Status != Up || got.Falling != 1 {
		t.Errorf("after new thresholds: %+v, want up with 1 failure", got)
	}
	if wait := b.timers[0].next.Sub(b.now); wait > time.Second+time.Second/20 {
		t.Errorf("the next check comes after %s at an interval of 1s", wait)
	}
	if got := b.check("a", refuse); len(got) != 1 || got[0].Status != Down {
		t.Errorf("second failure of two: %+v, want down", got)
	}

	b.assign(target("a", func(t *Target) { t.Address = netip.MustParseAddrPort("192.0.2.2:80") }))
	want := Verdict{ID: "a", Status: Unknown, Since: b.now}
	if d := cmp.Diff(want, b.verdicts()[0]); d != "" {
		t.Errorf("after another address (-want +got):\n%s", d)
	}
	if wait := b.timers[0].next.Sub(b.now); wait >= firstWithin {
		t.Errorf("the new address waits %s for its first check", wait)
	}
}

func TestKnownStatusIsMarkedUntilTheFirstResult(t *testing.T) {
	b := newTable(t, 10)
	earlier := time.Unix(500, 0)
	known := map[string]Verdict{
		"a": {ID: "a", Status: Up, Since: earlier, Checked: earlier, Reason: ReasonRefused, Falling: 2},
		"b": {ID: "b", Status: Unknown, Falling: 2},
		"c": {ID: "c", Status: Down, Since: earlier, Rising: -9},
	}
	b.set(b.now, []Target{target("a"), target("b"), target("c")}, known)
	want := []Verdict{
		{ID: "a", Status: Up, Known: true, Since: earlier, Checked: earlier, Reason: ReasonRefused, Falling: 2},
		{ID: "b", Status: Unknown, Since: b.now},
		{ID: "c", Status: Down, Known: true, Since: earlier},
	}
	if d := cmp.Diff(want, b.verdicts()); d != "" {
		t.Errorf("verdicts before any check (-want +got):\n%s", d)
	}
	start := b.now
	got := b.check("a", pass)
	if len(got) != 1 || got[0].Known || got[0].Status != Up || !got[0].Since.Equal(earlier) || got[0].Falling != 0 {
		t.Errorf("first result of a: %+v, want up since %s, no longer only known", got, earlier)
	}
	if b.now.Sub(start) > firstWithin {
		t.Errorf("a was checked after %s", b.now.Sub(start))
	}
	// What is known counts for targets that are new, and for them alone.
	b.set(b.now, []Target{target("a"), target("b"), target("c")}, map[string]Verdict{"a": {ID: "a", Status: Down}})
	if got := b.verdicts()[0].Status; got != Up {
		t.Errorf("a known status overrides a fresh one: %s", got)
	}
}

func TestAKnownStatusIsConfirmedAtOnce(t *testing.T) {
	b := newTable(t, 10)
	quick := target("a", func(t *Target) { t.Every = 100 * time.Millisecond })
	b.set(b.now, []Target{quick}, map[string]Verdict{"a": {Status: Up}})
	if got := b.check("a", Result{Outcome: Inconclusive}); len(got) != 1 || !got[0].Known {
		t.Errorf("after an inconclusive check: %+v, want it only known", got)
	}
	if got := b.check("a", pass); len(got) != 1 || got[0].Known {
		t.Errorf("after a pass within the same second: %+v, want it confirmed", got)
	}
}

func TestAShorterIntervalCountsAtOnce(t *testing.T) {
	b := newTable(t, 10)
	hourly := func(t *Target) { t.Every = time.Hour }
	var targets []Target
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		targets = append(targets, target(id, hourly))
	}
	b.assign(targets...)
	for b.now.Sub(b.base) < firstWithin && len(b.timers) > 0 {
		for _, e := range b.step() {
			b.finish(nil, b.now, e, e.run, pass, 0)
		}
	}
	for i := range targets {
		targets[i].Every = time.Second
		b.assign(targets...)
		next, _ := b.deadline()
		if wait := next.Sub(b.now); wait > time.Second+time.Second/20 {
			t.Errorf("the first of %d targets with an interval of 1s is due after %s", i+1, wait)
		}
		// It is the only one that is due this early.
		for _, e := range b.step() {
			b.finish(nil, b.now, e, e.run, pass, 0)
		}
	}
}

func TestTheFirstOfTwoTargetsWithOneIDCounts(t *testing.T) {
	b := newTable(t, 10)
	b.assign(target("a"), target("a", func(t *Target) { t.Address = netip.MustParseAddrPort("192.0.2.2:80") }))
	if start := b.step(); len(start) != 1 || start[0].target != target("a") {
		t.Errorf("%d checks start, want one of the first target", len(start))
	}
	if len(b.timers) != 1 {
		t.Errorf("%d entries are on the timetable, want 1", len(b.timers))
	}
}

func TestNoMoreChecksAtATimeThanTheLimit(t *testing.T) {
	b := newTable(t, 2)
	b.assign(target("a"), target("b"), target("c"), target("d"))
	b.now = b.now.Add(firstWithin)
	first, _ := b.advance(b.now)
	if len(first) != 2 || b.heavy.running != 2 {
		t.Fatalf("%d checks start with two places", len(first))
	}
	if more, _ := b.advance(b.now); len(more) != 0 {
		t.Fatalf("%d more checks start with all places taken", len(more))
	}
	b.finish(nil, b.now, first[0], first[0].run, pass, 0)
	more, _ := b.advance(b.now)
	if len(more) != 1 {
		t.Fatalf("%d checks start for one free place", len(more))
	}
	// Removing a running and a waiting target frees one place and starts none of them.
	last := b.heavy.waiting[0].target.ID
	b.assign(more[0].target, first[0].target)
	if b.heavy.running != 1 {
		t.Errorf("%d checks count as running after the removal, want 1", b.heavy.running)
	}
	if start, _ := b.advance(b.now); len(start) != 0 {
		t.Errorf("removed target %s (%s) starts", start[0].target.ID, last)
	}
}

func TestACheckThatNeverReturnsIsJudgedAndNotStartedAgain(t *testing.T) {
	b := newTable(t, 1)
	b.assign(target("a", func(t *Target) { t.Fall = 2 }))
	stuck := b.step()[0]
	cancelled := false
	stuck.cancel = func() { cancelled = true }
	begun := b.now

	if start := b.step(); len(start) != 0 || !cancelled {
		t.Fatalf("at the bound %d checks start, cancelled = %v; want 0, true", len(start), cancelled)
	}
	if took := b.now.Sub(begun); took != time.Second+abandonAfter {
		t.Errorf("abandoned after %s, want %s", took, time.Second+abandonAfter)
	}
	if len(b.out) != 1 || b.out[0].Reason != ReasonTimeout || b.out[0].Falling != 1 {
		t.Errorf("verdict = %+v, want one failure by timeout", b.out)
	}
	if b.heavy.running != 0 {
		t.Errorf("the abandoned check holds a place")
	}
	if start := b.step(); len(start) != 0 {
		t.Fatal("a second check of a target starts beside one that never returned")
	}
	if len(b.out) != 1 || b.out[0].Status != Down {
		t.Errorf("verdict = %+v, want down by the second timeout", b.out)
	}
	// It returns after all: its result is too late, but the target is checked again.
	if out := b.finish(nil, b.now, stuck, stuck.run, pass, time.Hour); len(out) != 0 {
		t.Errorf("a late result gives out %+v", out)
	}
	if got := b.verdicts()[0]; got.Status != Down || got.Rising != 0 {
		t.Errorf("a late result counts: %+v", got)
	}
	if start := b.step(); len(start) != 1 {
		t.Errorf("after its return %d checks start, want 1", len(start))
	}
}

func TestTheResultOfARemovedTargetIsIgnored(t *testing.T) {
	b := newTable(t, 10)
	b.assign(target("a"))
	old := b.step()[0]
	cancelled := false
	old.cancel = func() { cancelled = true }
	b.assign()
	if !cancelled {
		t.Error("the removed target's check goes on")
	}
	b.assign(target("a"))
	if out := b.finish(nil, b.now, old, old.run, pass, 0); len(out) != 0 {
		t.Errorf("the old result gives out %+v", out)
	}
	if got := b.verdicts()[0].Status; got != Unknown {
		t.Errorf("the new target is %s by the old one's result", got)
	}
}

func TestAnInvalidTargetIsNotCheckedAndSaysWhy(t *testing.T) {
	tests := []struct {
		change func(*Target)
		detail string
	}{
		{func(t *Target) { t.ID = "" }, "target without an id"},
		{func(t *Target) { t.Type = "smoke" }, fmt.Sprintf(`type "smoke": unknown (legal: %v)`, Types())},
		{func(t *Target) { t.Options = `{"sned_hex":"00"}` }, `options of type "tcp": reading "{\"sned_hex\":\"00\"}": json: unknown field "sned_hex"`},
		{func(t *Target) { t.Options = Encode(TCP{Send: Hex("x")}) }, `options of type "tcp": send_hex without expect_hex: the reply would not be looked at`},
		{func(t *Target) { t.Address = netip.AddrPort{} }, "address invalid AddrPort: not an address with a port"},
		{func(t *Target) { t.Address = netip.MustParseAddrPort("192.0.2.1:0") }, "address 192.0.2.1:0: not an address with a port"},
		{func(t *Target) { t.Every = time.Millisecond }, "every 1ms: shorter than 10ms"},
		{func(t *Target) { t.Timeout = 0 }, "timeout 0s: not more than 0"},
		{func(t *Target) { t.Rise = 0 }, "rise 0: less than 1"},
		{func(t *Target) { t.Fall = -1 }, "fall -1: less than 1"},
	}
	for _, tt := range tests {
		t.Run(tt.detail, func(t *testing.T) {
			b := newTable(t, 10)
			bad := target("a", tt.change)
			b.assign(bad)
			want := []Verdict{{ID: bad.ID, Status: Unknown, Since: b.now, Reason: ReasonInvalid, Detail: tt.detail}}
			if d := cmp.Diff(want, b.out); d != "" {
				t.Errorf("verdicts (-want +got):\n%s", d)
			}
			if _, ok := b.deadline(); ok {
				t.Error("it is on the timetable")
			}
			if b.assign(bad); len(b.out) != 0 {
				t.Errorf("set again it gives out %+v", b.out)
			}
			// Mended, it is checked; broken again, it is not.
			b.assign(target("a"))
			if start := b.step(); len(start) != 1 {
				t.Errorf("%d checks start after it was mended", len(start))
			}
			b.assign(bad)
			if _, ok := b.deadline(); ok || b.heavy.running != 0 {
				t.Error("it is on the timetable again")
			}
		})
	}
}

// TestLightChecksEndAtTheirTimeout: a connection that is given up leaves nothing
// that could be stuck.
func TestLightChecksEndAtTheirTimeout(t *testing.T) {
	b := newTable(t, 1)
	b.isLight = func(t Target) bool { return t.ID != "heavy" }
	b.light.limit = 2
	b.assign(target("heavy"), target("a"), target("b"), target("c"))
	var start []*entry
	for len(start) < 3 {
		start = append(start, b.step()...)
	}
	if b.heavy.running != 1 || b.light.running != 2 {
		t.Fatalf("%d heavy and %d light checks run, want 1 and 2: each kind has its own bound", b.heavy.running, b.light.running)
	}
	var first *entry
	for _, e := range start {
		if e.light && (first == nil || e.begun.Before(first.begun)) {
			first = e
		}
	}
	ended := false
	first.cancel = func() { ended = true }
	for !ended {
		start = b.step()
	}
	if want := first.begun.Add(first.target.Timeout); !b.now.Equal(want) {
		t.Errorf("given up %s after its begin, want its timeout", b.now.Sub(first.begun))
	}
	if first.verdict.Reason != ReasonTimeout || first.stuck || len(start) != 1 {
		t.Errorf("judged %q, stuck = %v, and %d checks start in its place; want a timeout, false, 1", first.verdict.Reason, first.stuck, len(start))
	}
}
