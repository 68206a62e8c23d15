package vrrp_test

import (
	"testing"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
)

// RFC 9568, 6.4.3 and 6.4.2: a master advertises its new priority at once, and a
// backup of a higher one then lets its timer run out and takes over.
func TestStandingChangesThePriorityAtRunTime(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		b.Set([]vrrp.RouterConfig{config(100)}, nil)
		time.Sleep(3500 * time.Millisecond)
		w.took()
		a.Standing("edge", 50, "")
		w.want("3.5s a sends 50")
		if got := a.status(); got.Priority != 50 {
			t.Errorf("priority %d, want 50", got.Priority)
		}
		time.Sleep(4 * time.Second)
		if got := b.status(); got.State != vrrp.Master {
			t.Errorf("b is %v, want master", got.State)
		}
		// A Set of the base priority is what counts then; the same again is no news.
		w.took()
		a.Standing("edge", 200, "")
		a.Standing("edge", 200, "")
		time.Sleep(4 * time.Second)
		if got := a.status(); got.State != vrrp.Master {
			t.Errorf("a is %v, want master", got.State)
		}
	})
}

func TestStandingWithoutEligibilityHandsOver(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		b.Set([]vrrp.RouterConfig{config(100)}, nil)
		time.Sleep(3218750 * time.Microsecond)
		w.took()
		a.Standing("edge", 200, vrrp.ReasonTracker)
		time.Sleep(709375 * time.Microsecond)
		w.want("3.21875s a sends 0", "3.21875s a: master to leaving: tracker down",
			"3.828125s b sends 100", "3.828125s b: backup to master: master resigned", "3.928125s a: leaving to init: successor heard")
		a.Standing("edge", 200, "")
		w.want("3.928125s a: init to backup: eligible again")
	})
}

func TestStandingOfNobodyDoesNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Standing("edge", 50, "")
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		a.Standing("other", 50, vrrp.ReasonTracker)
		a.Standing("edge", 0, vrrp.ReasonTracker)
		time.Sleep(time.Second)
		w.want("0s a: init to backup: start")
		if got := a.status(); got.Priority != 200 || got.Ineligible != "" {
			t.Errorf("priority %d, ineligible %q, want 200 and eligible", got.Priority, got.Ineligible)
		}
	})
}
