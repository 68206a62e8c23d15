package vrrp_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

func (n *node) wantProblem(want string) {
	n.w.Helper()
	if got := n.status().Problem; got != want {
		n.w.Errorf("problem = %q, want %q", got, want)
	}
}

func TestMissingInterfaceIsRetriedOnceASecond(t *testing.T) {
	inBubble(t, func(w *world) {
		host := w.lan.Host("a", "eth0", alpha)
		host.SetExists(false)
		a := w.on("a", host)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.want()
		a.wantProblem("opening eth0: no such interface")
		time.Sleep(2500 * time.Millisecond)
		host.SetExists(true)
		time.Sleep(time.Second)
		w.want("3s a sends 255", "3s a: init to master: address owner")
		a.wantProblem("")
	})
}

func TestLinkNewsOpensAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		host := w.lan.Host("a", "eth0", alpha)
		host.SetExists(false)
		a := w.on("a", host)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		time.Sleep(2500 * time.Millisecond)
		host.SetExists(true)
		a.Link("eth0", true)
		w.want("2.5s a sends 255", "2.5s a: init to master: address owner")
	})
}

func TestVanishedInterface(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		time.Sleep(3218750*time.Microsecond + 500*time.Millisecond)
		w.took()
		a.host.SetExists(false)
		time.Sleep(time.Second) // found by the look at 4 s
		w.want("4s a: master to init: link down")
		a.wantProblem("interface eth0 is gone")
		time.Sleep(1500 * time.Millisecond)
		a.wantProblem("opening eth0: no such interface")
		a.host.SetExists(true)
		time.Sleep(time.Second)
		w.want("7s a: init to backup: link up")
	})
}

func TestFailedSendIsShown(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		time.Sleep(500 * time.Millisecond)
		w.took()
		a.host.FailSends(errors.New("no buffer space available"))
		time.Sleep(time.Second)
		w.want()
		a.wantProblem("no buffer space available")
		if got := a.status().Sent; got != 1 {
			w.Errorf("sent = %d, want 1: only what was sent counts", got)
		}
		a.host.FailSends(nil)
		time.Sleep(time.Second)
		w.want("2s a sends 255") // the rhythm went on
		a.wantProblem("")
	})
}

// An advert that cannot be sent makes the speaker look at the interface at once,
// not only at the next whole second.
func TestFailedSendFindsTheInterfaceGone(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		cfg := config(255)
		cfg.Interval = 700 * time.Millisecond
		a.Set([]vrrp.RouterConfig{cfg}, nil)
		time.Sleep(1100 * time.Millisecond)
		w.took()
		a.host.SetExists(false)
		time.Sleep(500 * time.Millisecond)
		w.want("1.4s a: master to init: link down")
	})
}

func TestCarrierNews(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Link("eth0", false)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		time.Sleep(10 * time.Second)
		w.want()
		a.wantProblem("interface eth0 has no carrier")
		a.Link("eth0", true)
		w.want("10s a: init to backup: start")
		a.Link("eth0", true)
		time.Sleep(3218750 * time.Microsecond)
		w.want("13.21875s a sends 200", "13.21875s a: backup to master: master silent")
		a.Link("eth1", false) // another one
		w.want()
		a.Link("eth0", false)
		a.Link("eth0", true) // a flap is Shutdown and Startup
		w.want("13.21875s a: master to init: link down", "13.21875s a: init to backup: link up")
	})
}

func TestLinkLossDuringHandoverEndsIt(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		done := make(chan error, 1)
		go func() { done <- a.Shutdown(w.Context()) }()
		w.want("0s a sends 0", "0s a: master to leaving: shutdown")
		a.Link("eth0", false)
		w.want("0s a: leaving to init: link down")
		if err := <-done; err != nil {
			w.Errorf("Shutdown = %v", err)
		}
	})
}

// RFC 9568, 5.1.1.1: the source is "the primary IPv4 address of the interface the
// packet is being sent from", never a virtual one, not even that of another router
// of this node.
func TestSourceIsNoVirtualAddress(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", vip, beta, alpha)
		second := config(255)
		second.Name, second.VRID = "second", 52
		second.Addresses = []netip.Addr{beta}
		first := config(255)
		first.Interval, second.Interval = 10*time.Second, 10*time.Second
		a.Set([]vrrp.RouterConfig{first, second}, nil)
		w.took()
		all, err := a.Status(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		for _, s := range all {
			if s.Source != alpha || s.Master != alpha {
				w.Errorf("%s: source %v, master %v, want %v", s.Name, s.Source, s.Master, alpha)
			}
		}
		a.host.SetAddresses(vip, beta)
		time.Sleep(time.Second)
		w.want("1s a: master to init: no source address", "1s a: master to init: no source address")
	})
}

func TestSourceChangesAtRunTime(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		time.Sleep(500 * time.Millisecond)
		a.host.SetAddresses(beta, alpha) // the old one is still there
		time.Sleep(time.Second)
		if got := a.status().Source; got != alpha {
			w.Errorf("source = %v, want still %v", got, alpha)
		}
		a.host.SetAddresses(beta)
		time.Sleep(time.Second) // seen at 2 s, with an advert of its own at the same time
		var last netip.Addr
		for _, line := range w.took() {
			if !strings.Contains(line, "sends 255") {
				w.Errorf("unexpected %q: the role must not change", line)
			}
		}
		w.lan.Tap(func(f vrrptest.Frame) { last = f.Source })
		time.Sleep(time.Second)
		if got := a.status(); got.Source != beta || got.Master != beta || last != beta {
			w.Errorf("source = %v, master = %v, on the wire %v, want %v", got.Source, got.Master, last, beta)
		}
	})
}

// A virtual address that comes with a new configuration may not stay the source.
func TestSourceGivesWayToAVirtualAddress(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", beta, alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		cfg := config(255)
		cfg.Addresses = append(cfg.Addresses, beta)
		a.Set([]vrrp.RouterConfig{cfg}, nil)
		w.took()
		if got := a.status().Source; got != alpha {
			w.Errorf("source = %v, want %v", got, alpha)
		}
	})
}
