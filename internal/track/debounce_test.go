package track

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDebounce(t *testing.T) {
	begin := time.Unix(1000, 0)
	d := Debounce{UpDelay: 2 * time.Second, DownDelay: time.Second}
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	want := func(when int, status Status, deadline int) {
		t.Helper()
		d.Advance(at(when))
		due, waits := d.Deadline()
		if d.Status() != status || waits != (deadline > 0) || waits && !due.Equal(at(deadline)) {
			t.Errorf("after %d ms: %v, deadline %v (%v), want %v and %d ms", when, d.Status(), due.Sub(begin), waits, status, deadline)
		}
	}
	want(0, Unknown, 0)
	d.See(at(0), true)
	want(0, Up, 0) // the first news
	d.See(at(100), false)
	want(1099, Up, 1100)
	d.See(at(1099), true)
	want(1099, Up, 0) // it flapped
	d.See(at(2000), false)
	d.See(at(2500), false) // the same news again
	want(3000, Down, 0)
	d.See(at(4000), true)
	want(5999, Down, 6000)
	want(6000, Up, 0)
}

func TestFirstNewsThatALinkIsDownWaitsToo(t *testing.T) {
	d := Debounce{DownDelay: time.Second}
	d.See(time.Unix(0, 0), false)
	if d.Status() != Unknown {
		t.Errorf("%v at once, want unknown", d.Status())
	}
	d.Advance(time.Unix(1, 0))
	if d.Status() != Down {
		t.Errorf("%v after the delay, want down", d.Status())
	}
}

// A link that never stays down for the delay is never down.
func TestFlappingIsNeverDown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Debounce{UpDelay: time.Duration(rapid.IntRange(0, 100).Draw(t, "up")), DownDelay: 10}
		now := time.Unix(0, 0)
		d.See(now, true)
		for range rapid.IntRange(1, 50).Draw(t, "flaps") {
			d.See(now, false)
			now = now.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "gap")))
			d.See(now, true)
			if d.Status() == Down {
				t.Fatalf("down after a gap shorter than the delay")
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "run")))
		}
	})
}
