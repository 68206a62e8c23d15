package traffic

import (
	"testing"
	"time"
)

func TestPacerKeepsToTheClockWithoutDrift(t *testing.T) {
	p := NewPacer(5*time.Second, 1000)
	for i := range 100 {
		want := 5*time.Second + time.Duration(i)*time.Millisecond
		if got := p.Next(); got != want {
			t.Fatalf("request %d is due at %v, want %v", i, got, want)
		}
		// Each is a little late; the next is due at its own time nevertheless.
		if late := p.Sent(want + 300*time.Microsecond); late != 300*time.Microsecond {
			t.Fatalf("lateness of request %d = %v, want 300µs", i, late)
		}
	}
}

func TestPacerCatchesUpAtTwiceThePace(t *testing.T) {
	p := NewPacer(0, 1000)
	p.Sent(0)
	now := 50 * time.Millisecond // held up: requests 1 to 50 are overdue
	sent := 0
	for late := p.Sent(now); late > 0; late = p.Sent(now) {
		next := p.Next()
		if d := next - now; d != 500*time.Microsecond {
			t.Fatalf("next request %v after one that was late by %v, want 500µs", d, late)
		}
		now = next
		if sent++; sent > 200 {
			t.Fatal("does not catch up")
		}
	}
	// Half of the time is spent on what became due meanwhile.
	if sent < 95 || sent > 100 {
		t.Errorf("caught up after %d requests, want twice the 50 overdue less a few", sent)
	}
	if p.Skipped() != 0 {
		t.Errorf("skipped = %d, want 0", p.Skipped())
	}
}

func TestPacerGivesUpWhatIsMoreThanASecondLate(t *testing.T) {
	p := NewPacer(0, 1000)
	p.Sent(0)
	if late := p.Sent(3 * time.Second); late != 3*time.Second-time.Millisecond {
		t.Errorf("lateness = %v, want 2.999s", late)
	}
	if p.Skipped() != 2998 {
		t.Errorf("skipped = %d, want 2998: those due at 2 ms to 2999 ms", p.Skipped())
	}
	p.Sent(p.Next())
	if got, want := p.Next(), 3*time.Second+time.Millisecond; got != want {
		t.Errorf("next after the stall = %v, want %v", got, want)
	}
}
