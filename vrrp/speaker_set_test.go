package vrrp_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
)

func TestRouterThatComesBackWhileLeavingStartsAfterwards(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		a.Set(nil, nil)
		w.want("0s a sends 0", "0s a: master to leaving: removed from the configuration")
		a.Set([]vrrp.RouterConfig{config(254)}, nil)
		w.want()
		if got := a.status(); got.State != vrrp.Leaving || got.Priority != 255 {
			w.Errorf("%v, priority %d, want leaving with 255 as it was", got.State, got.Priority)
		}
		time.Sleep(4 * time.Second)
		w.want("4s a: leaving to init: no successor heard", "4s a: init to backup: start")
	})
}

// A flap of the link in the same instant does not bring a removed router back.
func TestRemovedRouterStaysRemoved(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		a.Set(nil, nil)
		a.Link("eth0", false)
		a.Link("eth0", true)
		time.Sleep(10 * time.Second)
		w.want("0s a sends 0", "0s a: master to leaving: removed from the configuration", "0s a: leaving to init: link down")
	})
}

// The port of an interface is open while a router needs it, and listens to the
// VRIDs that there are.
func TestPortsFollowTheRouters(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		second := config(100)
		second.Name, second.VRID = "second", 52
		want := func(first, other int) {
			w.Helper()
			synctest.Wait()
			if got, got2 := a.host.Listening(51), a.host.Listening(52); got != first || got2 != other {
				w.Errorf("ports that listen to VRIDs 51 and 52: %d and %d, want %d and %d", got, got2, first, other)
			}
		}
		a.Set([]vrrp.RouterConfig{config(100)}, nil)
		want(1, 0)
		a.Set([]vrrp.RouterConfig{config(100), second}, nil)
		want(1, 1)
		a.Set([]vrrp.RouterConfig{second}, nil)
		want(0, 1)
		a.Set(nil, nil)
		want(0, 0)
		if got := a.host.OpenPorts(); got != 0 {
			w.Errorf("%d ports are open without a router, want none", got)
		}
		a.Set([]vrrp.RouterConfig{config(100)}, nil)
		want(1, 0)
	})
}

// Another VRID under the same name is another router.
func TestChangedVRIDHandsOver(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		cfg := config(255)
		cfg.VRID = 52
		a.Set([]vrrp.RouterConfig{cfg}, nil)
		time.Sleep(4 * time.Second)
		w.want("0s a sends 0", "0s a: master to leaving: removed from the configuration",
			"4s a: leaving to init: no successor heard", "4s a sends 255", "4s a: init to master: address owner")
		if got := a.status().VRID; got != 52 {
			w.Errorf("VRID = %d, want 52", got)
		}
	})
}

// A configuration that cannot be used changes nothing but what the status says.
func TestUnusableConfigurationChangesNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		bad := config(255)
		bad.Interval = 0
		a.Set([]vrrp.RouterConfig{bad}, nil)
		time.Sleep(time.Second)
		w.want("1s a sends 255")
		a.wantProblem(`virtual router "edge": interval 0s: must be a multiple of 10ms from 10ms to 40.95s`)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		a.wantProblem("")
		w.want()
	})
}

func TestUnusableRouterRunsOnceItIsMended(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		bad := config(255)
		bad.Priority = 0
		a.Set([]vrrp.RouterConfig{bad}, nil)
		w.want()
		a.wantProblem(`virtual router "edge": priority 0: must be 1..255`)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.want("0s a sends 255", "0s a: init to master: address owner")

		twin := config(255)
		twin.Name = "twin"
		a.Set([]vrrp.RouterConfig{config(255), twin}, nil)
		w.want()
		twin.VRID = 52
		a.Set([]vrrp.RouterConfig{config(255), twin}, nil)
		w.want("0s a sends 255", "0s a: init to master: address owner")
	})
}

func TestChangedAddressesAreAdvertised(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		b.Set([]vrrp.RouterConfig{config(100)}, nil)
		cfg := config(255)
		cfg.Addresses = append(cfg.Addresses, vip.Next())
		w.took()
		a.Set([]vrrp.RouterConfig{cfg}, nil)
		w.want("0s a sends 255")
		b.wantProblem("198.51.100.1 advertises other addresses")
		if got := len(a.status().Addresses); got != 2 {
			w.Errorf("%d addresses in the status, want 2", got)
		}
	})
}

func TestFailedReceiveReopensThePort(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		a.host.FailReceives(errors.New("network is down"))
		w.want("0s a: master to init: link down")
		a.wantProblem("receiving on eth0: network is down")
		a.host.FailReceives(nil)
		time.Sleep(time.Second)
		w.want("1s a sends 255", "1s a: init to master: address owner")
	})
}

// A loop that was held up handles what was received before what is due: b is not
// to take over although its timer ran out 90 ms ago.
func TestReceivedCountsBeforeDue(t *testing.T) {
	for range 20 { // which of the two comes first is a matter of chance
		inBubble(t, func(w *world) {
			a := w.node("a", alpha)
			a.Set([]vrrp.RouterConfig{config(200)}, nil)
			host := w.lan.Host("b", "eth0", beta)
			b := vrrp.NewSpeaker(host, func(t vrrp.Transition) {
				w.note("b: %s to %s", t.From, t.To)
				if t.To == vrrp.Backup {
					time.Sleep(3700 * time.Millisecond)
				}
			}, slog.New(slog.DiscardHandler))
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- b.Run(ctx) }()
			b.Set([]vrrp.RouterConfig{config(100)}, nil)
			time.Sleep(3710 * time.Millisecond)
			for _, line := range w.took() {
				if line == "3.7s b: backup to master" {
					w.Error("b took over from a master that it had heard")
				}
			}
			cancel()
			<-done
		})
	}
}
