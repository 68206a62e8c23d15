package arp

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const ms = time.Millisecond

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func target(host int) Target {
	return Target{"eth0", netip.AddrFrom4([4]byte{192, 0, byte(host >> 8), byte(host)})}
}

// follow runs an agenda to the end of a time, with a loop that is never late,
// and returns when each target had its rounds, since start.
func follow(a *agenda, from, until time.Time) map[Target][]time.Duration {
	rounds := map[Target][]time.Duration{}
	for now := from; ; {
		due, ok := a.deadline()
		if !ok || due.After(until) {
			return rounds
		}
		if due.After(now) {
			now = due
		}
		e, ok := a.take(now)
		if !ok {
			panic("nothing to take at the deadline")
		}
		rounds[e.target] = append(rounds[e.target], now.Sub(start))
		a.sent(now, e)
	}
}

func unpaced() pace { return pace{interval: 0, together: 1} }

func TestSchedule(t *testing.T) {
	tests := []struct {
		name     string
		schedule Schedule
		want     []time.Duration
	}{
		{"one", Schedule{Burst: 1}, []time.Duration{0}},
		{"burst", Schedule{Burst: 3, Spacing: 100 * ms}, []time.Duration{0, 100 * ms, 200 * ms}},
		{"no spacing", Schedule{Burst: 3}, []time.Duration{0, 0, 0}},
		{"second burst", Schedule{Burst: 2, Spacing: 100 * ms, Again: 5 * time.Second},
			[]time.Duration{0, 100 * ms, 5000 * ms, 5100 * ms}},
		{"moving MAC", Schedule{Burst: 2, Spacing: 300 * ms, Again: 5 * time.Second, MovingMAC: true},
			[]time.Duration{0, 20 * ms, 60 * ms, 140 * ms, 440 * ms, 5000 * ms, 5300 * ms}},
		{"second burst asked for too early", Schedule{Burst: 3, Spacing: 100 * ms, Again: 50 * ms},
			[]time.Duration{0, 100 * ms, 200 * ms, 300 * ms, 400 * ms, 500 * ms}},
		{"refresh", Schedule{Burst: 2, Spacing: 100 * ms, Refresh: 4 * time.Second},
			[]time.Duration{0, 100 * ms, 4100 * ms, 8100 * ms}},
		{"all", Schedule{Burst: 2, Spacing: 100 * ms, Again: time.Second, Refresh: 4 * time.Second},
			[]time.Duration{0, 100 * ms, 1000 * ms, 1100 * ms, 5100 * ms, 9100 * ms}},
		{"refresh alone", Schedule{Refresh: 4 * time.Second}, []time.Duration{4000 * ms, 8000 * ms}},
		{"nothing", Schedule{}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := newAgenda(unpaced())
			a.set(start, map[Target]Schedule{target(1): test.schedule})
			got := follow(a, start, start.Add(10*time.Second))[target(1)]
			if d := diff.Diff(test.want, got); d != "" {
				t.Errorf("rounds (-want +got):\n%s", d)
			}
		})
	}
}

func TestSetLeavesKnownTargetsAsTheyAre(t *testing.T) {
	a := newAgenda(unpaced())
	s := Schedule{Burst: 3, Spacing: 100 * ms}
	a.set(start, map[Target]Schedule{target(1): s, target(2): s})
	follow(a, start, start.Add(50*ms))
	a.set(start.Add(50*ms), map[Target]Schedule{target(1): s, target(3): s})
	got := follow(a, start.Add(50*ms), start.Add(time.Second))
	want := map[Target][]time.Duration{
		target(1): {100 * ms, 200 * ms},          // goes on
		target(3): {50 * ms, 150 * ms, 250 * ms}, // at once
	}
	if d := diff.Diff(want, got, compareTarget()); d != "" {
		t.Errorf("rounds (-want +got):\n%s", d)
	}
}

func compareTarget() diff.Option { return diff.Comparer(func(a, b netip.Addr) bool { return a == b }) }

func TestChangedScheduleTakesOverWithoutANewBurst(t *testing.T) {
	a := newAgenda(unpaced())
	a.set(start, map[Target]Schedule{target(1): {Burst: 2, Spacing: 100 * ms}})
	follow(a, start, start.Add(time.Second))
	a.set(start.Add(time.Second), map[Target]Schedule{target(1): {Burst: 5, Spacing: 100 * ms, Refresh: 3 * time.Second}})
	got := follow(a, start.Add(time.Second), start.Add(7*time.Second))[target(1)]
	if want := []time.Duration{3100 * ms, 6100 * ms}; !slices.Equal(got, want) {
		t.Errorf("rounds %v, want %v", got, want)
	}
}

func TestRepeatStartsOver(t *testing.T) {
	a := newAgenda(unpaced())
	a.set(start, map[Target]Schedule{target(1): {Burst: 2, Spacing: 100 * ms, Again: time.Second}})
	follow(a, start, start.Add(10*time.Second))
	a.repeat(start.Add(20 * time.Second))
	got := follow(a, start.Add(20*time.Second), start.Add(30*time.Second))[target(1)]
	if want := []time.Duration{20000 * ms, 20100 * ms, 21000 * ms, 21100 * ms}; !slices.Equal(got, want) {
		t.Errorf("rounds %v, want %v", got, want)
	}
}

func TestAFailedRoundIsNotLost(t *testing.T) {
	a := newAgenda(unpaced())
	a.set(start, map[Target]Schedule{target(1): {Burst: 2, Spacing: 100 * ms, Again: time.Second}})
	e, _ := a.take(start)
	a.failed(e, errors.New("down"), start.Add(700*ms))
	if due, _ := a.deadline(); !due.Equal(start.Add(700 * ms)) {
		t.Errorf("next try at %v, want 700ms", due.Sub(start))
	}
	a.retry(start.Add(300 * ms))
	got := follow(a, start.Add(300*ms), start.Add(10*time.Second))[target(1)]
	if want := []time.Duration{300 * ms, 400 * ms, 1300 * ms, 1400 * ms}; !slices.Equal(got, want) {
		t.Errorf("rounds %v, want %v", got, want)
	}
	if e.err != nil {
		t.Errorf("error %v stays after success", e.err)
	}
}

func TestALateLoopDoesNotPileUpRounds(t *testing.T) {
	a := newAgenda(unpaced())
	a.set(start, map[Target]Schedule{target(1): {Burst: 3, Spacing: 100 * ms}})
	e, _ := a.take(start)
	a.sent(start, e)
	got := follow(a, start.Add(5*time.Second), start.Add(9*time.Second))[target(1)]
	if want := []time.Duration{5000 * ms, 5100 * ms}; !slices.Equal(got, want) {
		t.Errorf("rounds %v, want %v", got, want)
	}
}

func TestEveryAddressIsAnnouncedOnceBeforeAnyIsTwice(t *testing.T) {
	const count = 1000
	a := newAgenda(defaultPace())
	targets := map[Target]Schedule{}
	for i := range count {
		targets[target(i)] = Schedule{Burst: 3, Spacing: 100 * ms}
	}
	a.set(start, targets)
	rounds := follow(a, start, start.Add(time.Minute))
	var first, second []time.Duration
	var every []time.Duration
	for target, at := range rounds {
		if len(at) != 3 {
			t.Fatalf("%v has %d rounds, want 3", target, len(at))
		}
		first, second, every = append(first, at[0]), append(second, at[1]), append(every, at...)
	}
	atOnce := 0
	for _, at := range first {
		if at == 0 {
			atOnce++
		}
	}
	if atOnce != 256 {
		t.Errorf("%d addresses are announced at once, want 256", atOnce)
	}
	if last, want := slices.Max(first), (count-256)*500*time.Microsecond; last != want {
		t.Errorf("the last address is first announced after %v, want %v", last, want)
	}
	if last, want := slices.Max(every), time.Duration(3*count-256)*500*time.Microsecond; last > want+100*ms {
		t.Errorf("the last round is after %v, want about %v", last, want)
	}
	if slices.Min(second) < slices.Max(first) {
		t.Errorf("a second round at %v, before the last first one at %v", slices.Min(second), slices.Max(first))
	}
}

// Whatever is set, repeated and failing: no pace is broken, and each target
// gets its burst from the moment it was last begun.
func TestAgendaKeepsPaceAndCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := pace{interval: 2 * ms, together: rapid.IntRange(1, 5).Draw(t, "together")}
		a := newAgenda(p)
		schedule := Schedule{Burst: rapid.IntRange(1, 4).Draw(t, "burst"), Spacing: time.Duration(rapid.IntRange(0, 20).Draw(t, "spacing")) * ms}
		now := start
		var sent []time.Time
		owed := map[Target]int{}
		deliver := func(until time.Time) {
			for {
				due, ok := a.deadline()
				if !ok || due.After(until) {
					now = until
					return
				}
				now = maxTime(now, due)
				e, ok := a.take(now)
				if !ok {
					t.Fatalf("deadline %v is over at %v and nothing is to be taken", due, now)
				}
				if rapid.IntRange(0, 9).Draw(t, "fate") == 0 {
					a.failed(e, errors.New("no"), now.Add(5*ms))
					continue
				}
				sent = append(sent, now)
				owed[e.target]--
				a.sent(now, e)
			}
		}
		for range rapid.IntRange(1, 10).Draw(t, "changes") {
			if rapid.Bool().Draw(t, "repeat") {
				a.repeat(now)
				for target := range owed {
					owed[target] = schedule.Burst
				}
			} else {
				set := map[Target]Schedule{}
				for _, host := range rapid.SliceOfNDistinct(rapid.IntRange(1, 8), 0, 8, rapid.ID).Draw(t, "hosts") {
					set[target(host)] = schedule
				}
				a.set(now, set)
				maps.DeleteFunc(owed, func(target Target, _ int) bool { _, kept := set[target]; return !kept })
				for target := range set {
					if _, known := owed[target]; !known {
						owed[target] = schedule.Burst
					}
				}
			}
			deliver(now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "pause")) * ms))
		}
		deliver(now.Add(time.Hour))
		for target, left := range owed {
			if left != 0 {
				t.Fatalf("%v has %d rounds left", target, left)
			}
		}
		for i := p.together; i < len(sent); i++ {
			if gap := sent[i].Sub(sent[i-p.together]); gap < p.interval {
				t.Fatalf("%d rounds within %v", p.together+1, gap)
			}
		}
	})
}

func maxTime(a, b time.Time) time.Time {
	if cmp.Compare(a.UnixNano(), b.UnixNano()) < 0 {
		return b
	}
	return a
}

func BenchmarkAgenda(b *testing.B) {
	a := newAgenda(unpaced())
	targets := map[Target]Schedule{}
	for i := range 1000 {
		targets[target(i)] = Schedule{Burst: 1, Refresh: time.Minute}
	}
	a.set(start, targets)
	now := start
	b.ReportAllocs()
	for b.Loop() {
		due, _ := a.deadline()
		now = maxTime(now, due)
		e, ok := a.take(now)
		if !ok {
			b.Fatal(fmt.Sprint("nothing due at ", now))
		}
		a.sent(now, e)
	}
}
