package director

import (
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/netif"
)

// had is the outcome of an application after which vip is there.
func had(added bool) netif.AddressResult {
	r := netif.AddressResult{Present: []netif.PresentAddress{{Address: vip, Ours: true}}}
	if added {
		r.Added = []netif.Address{vip}
	}
	return r
}

func TestAnAddressThatHadToBeAddedAgainWasTaken(t *testing.T) {
	var f fights
	desired := []netif.Address{vip}
	if back := f.applied(noon, desired, had(true)); len(back) != 0 {
		t.Errorf("the first time: %v put back, want none: it is new", back)
	}
	if back := f.applied(noon, desired, had(false)); len(back) != 0 {
		t.Errorf("nothing changed: %v put back, want none", back)
	}
	if back := f.applied(noon, desired, had(true)); len(back) != 1 || back[0] != vip {
		t.Errorf("added again: %v put back, want %v", back, vip)
	}
	// One that was let go of in between is new again.
	f.applied(noon, nil, netif.AddressResult{})
	if back := f.applied(noon, desired, had(true)); len(back) != 0 {
		t.Errorf("after the role was lost: %v put back, want none", back)
	}
	if got := f.counts(noon)[vip]; got != 1 {
		t.Errorf("count = %d, want 1", got)
	}
	if got := f.counts(noon.Add(fightTime + 1)); len(got) != 0 {
		t.Errorf("counts after a minute = %v, want none", got)
	}
}

func TestAFightIsSlowedDown(t *testing.T) {
	var f fights
	desired := []netif.Address{vip}
	f.applied(noon, desired, had(true))
	now := noon
	for i := range 100 {
		now = now.Add(f.pause(now) + 10*time.Millisecond)
		f.applied(now, desired, had(true))
		if i < fightMost-1 && f.pause(now) != 0 {
			t.Fatalf("pause after %d removals = %v, want none", i+1, f.pause(now))
		}
	}
	if took := now.Sub(noon); took < 90*fightPause {
		t.Errorf("100 removals were put right within %v, want a second between those after the first %d", took, fightMost)
	}
	if got := f.counts(now)[vip]; got < fightMost || got > fightMost+2 {
		t.Errorf("count = %d, want about %d: no more is remembered", got, fightMost)
	}
	if got := f.pause(now.Add(fightTime)); got != 0 {
		t.Errorf("pause after a quiet minute = %v, want none", got)
	}
}
