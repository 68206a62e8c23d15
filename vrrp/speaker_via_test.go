package vrrp_test

import (
	"testing"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

// "the virtual router MAC address as source" (RFC 9568, section 7.2) is that of a
// master alone. Who resigns or gives way must not draw the switches back from its
// successor.
func TestOnlyAMasterSpeaksFromTheVirtualMAC(t *testing.T) {
	inBubble(t, func(w *world) {
		via := map[string]map[uint8]string{"a": {}, "b": {}} // by host and priority
		w.lan.Tap(func(f vrrptest.Frame) {
			w.mu.Lock()
			defer w.mu.Unlock()
			via[f.From][f.Message[2]] = f.Via
		})
		with := func(priority uint8) []vrrp.RouterConfig {
			cfg := config(priority)
			cfg.Via = "vr4.51.eth0"
			return []vrrp.RouterConfig{cfg}
		}
		a, b := w.node("a", alpha), w.node("b", beta)
		a.Set(with(200), nil)
		b.Set(with(100), nil)
		time.Sleep(5 * time.Second)
		a.Handover([]string{"edge"})
		time.Sleep(5 * time.Second)
		want := map[string]map[uint8]string{"a": {200: "vr4.51.eth0", 0: ""}, "b": {100: "vr4.51.eth0"}}
		w.mu.Lock()
		defer w.mu.Unlock()
		for host, all := range want {
			for priority, name := range all {
				if got, sent := via[host][priority]; !sent || got != name {
					t.Errorf("%s sent priority %d: %v, by %q; want by %q", host, priority, sent, got, name)
				}
			}
		}
	})
}

// A change of the interface is no change of the role.
func TestViaChangesWithoutATransition(t *testing.T) {
	inBubble(t, func(w *world) {
		last := ""
		a := w.node("a", alpha)
		w.lan.Tap(func(f vrrptest.Frame) {
			w.mu.Lock()
			defer w.mu.Unlock()
			last = f.Via
		})
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		time.Sleep(1500 * time.Millisecond)
		w.took()
		cfg := config(255)
		cfg.Via = "vr4.51.eth0"
		a.Set([]vrrp.RouterConfig{cfg}, nil)
		time.Sleep(time.Second)
		w.want()
		w.mu.Lock()
		defer w.mu.Unlock()
		if last != cfg.Via {
			t.Errorf("the last advert went by %q, want %q", last, cfg.Via)
		}
	})
}
