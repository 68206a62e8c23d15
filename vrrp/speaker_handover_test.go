package vrrp_test

import (
	"maps"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
)

func TestHandoverOnRequest(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		b.Set([]vrrp.RouterConfig{config(100)}, nil)
		time.Sleep(3218750 * time.Microsecond)
		w.took()
		a.Handover([]string{"edge", "no such router"})
		time.Sleep(709375 * time.Microsecond)
		w.want("3.21875s a sends 0", "3.21875s a: master to leaving: handed over on request",
			"3.828125s b sends 100", "3.828125s b: backup to master: master resigned", "3.928125s a: leaving to backup: successor heard")
		if got := a.status(); !got.Ceded || got.Master != beta {
			w.Errorf("ceded %v to %v, want it ceded to %v", got.Ceded, got.Master, beta)
		}
	})
}

func TestIneligibleRouterTakesNoPartUntilItIsEligible(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		held := config(200)
		held.Ineligible = vrrp.ReasonMaintenance
		a.Set([]vrrp.RouterConfig{held}, nil)
		time.Sleep(10 * time.Second)
		w.want("0s a: init to init: maintenance")
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		w.want("10s a: init to backup: eligible again")
		time.Sleep(3218750 * time.Microsecond)
		w.want("13.21875s a sends 200", "13.21875s a: backup to master: master silent")

		// Eligible again before the hand-over has ended.
		a.Set([]vrrp.RouterConfig{held}, nil)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		time.Sleep(4 * time.Second)
		w.want("13.21875s a sends 0", "13.21875s a: master to leaving: maintenance",
			"17.21875s a: leaving to init: no successor heard", "17.21875s a: init to backup: eligible again")

		// A link that comes back starts nobody who is ineligible.
		a.Set([]vrrp.RouterConfig{held}, nil)
		a.Link("eth0", false)
		a.Link("eth0", true)
		time.Sleep(10 * time.Second)
		w.want("17.21875s a: backup to init: maintenance", "17.21875s a: init to init: maintenance")
	})
}

func TestCountersOfTransitionsAndLateness(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		time.Sleep(6 * time.Second) // the takeover after 3.2 s, and two adverts on time
		w.took()
		if got, want := a.status().Entered, map[string]uint64{"backup": 1, "master": 1}; !maps.Equal(got, want) {
			w.Errorf("entered %v, want %v", got, want)
		}
		lateness, err := a.Lateness(w.Context())
		if err != nil || lateness.Count() != 2 || lateness.Max != 0 {
			w.Errorf("lateness %+v, %v, want two adverts on time", lateness, err)
		}
	})
}
