package vrrptest_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

var (
	vip   = netip.MustParseAddr("192.0.2.100")
	alpha = netip.MustParseAddr("198.51.100.1")
	beta  = netip.MustParseAddr("198.51.100.2")
)

func TestContract(t *testing.T) {
	contract := func(virtual, real, real2 netip.Addr) {
		vrrptest.Contract(t, func(*testing.T) (a, b vrrptest.Endpoint) {
			lan := vrrptest.NewLAN()
			return vrrptest.Endpoint{Network: lan.Host("a", "eth0", virtual, real), Interface: "eth0", Virtual: virtual, Real: real},
				vrrptest.Endpoint{Network: lan.Host("b", "eth0", virtual, real2), Interface: "eth0", Virtual: virtual, Real: real2}
		})
	}
	contract(vip, alpha, beta)
	contract(netip.MustParseAddr("fe80::100"), netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::2"))
}

// wire is a LAN with a sender, a, and a receiver, b, inside a bubble.
type wire struct {
	*testing.T
	lan  *vrrptest.LAN
	b    *vrrptest.Host
	from vrrp.Port
	to   vrrp.Port
}

func onWire(t *testing.T, fn func(w *wire)) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{T: t, lan: vrrptest.NewLAN()}
		a := w.lan.Host("a", "eth0", alpha)
		w.b = w.lan.Host("b", "eth0", beta)
		var err error
		if w.from, err = a.Open("eth0"); err != nil {
			t.Fatal(err)
		}
		if w.to, err = w.b.Open("eth0"); err != nil {
			t.Fatal(err)
		}
		fn(w)
	})
}

func (w *wire) send(n int) {
	w.Helper()
	for range n {
		if _, err := w.from.Send(alpha, [][]byte{{0x31, 1, 2}}); err != nil {
			w.Fatal(err)
		}
	}
}

// wantQueued closes the receiver after counting what it can receive.
func (w *wire) wantQueued(want int) {
	w.Helper()
	got := 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		into := []vrrp.Datagram{{Buffer: make([]byte, vrrp.MaxDatagram)}}
		for {
			n, err := w.to.Receive(into)
			if err != nil {
				return
			}
			got += n
		}
	}()
	synctest.Wait()
	_ = w.to.Close()
	<-done
	if got != want {
		w.Errorf("%d datagrams queued, want %d", got, want)
	}
}

func TestFullQueueDrops(t *testing.T) {
	onWire(t, func(w *wire) {
		w.send(1000)
		w.wantQueued(512)
	})
}

func TestDelay(t *testing.T) {
	onWire(t, func(w *wire) {
		w.lan.SetDelay(time.Second)
		w.send(1)
		time.Sleep(time.Second - 1)
		w.send(1)
		time.Sleep(time.Nanosecond)
		w.wantQueued(1)
	})
}

func TestLoss(t *testing.T) {
	onWire(t, func(w *wire) {
		n := 0
		w.lan.SetLoss(func(from, to string) bool {
			if from != "a" || to != "b" {
				w.Errorf("asked about %s to %s", from, to)
			}
			n++
			return n%2 == 0
		})
		w.send(10)
		w.lan.SetLoss(nil)
		w.send(10)
		w.wantQueued(15)
	})
}

func TestCopies(t *testing.T) {
	onWire(t, func(w *wire) {
		w.lan.SetCopies(3)
		w.send(2)
		w.wantQueued(6)
	})
}

func TestPartition(t *testing.T) {
	onWire(t, func(w *wire) {
		w.lan.Partition([]string{"a"}, []string{"b"})
		w.send(1)
		w.lan.Partition([]string{"b"}) // a is alone
		w.send(1)
		w.lan.Partition([]string{"b", "a"})
		w.send(1)
		w.lan.Heal()
		w.send(1)
		w.wantQueued(2)
	})
}

func TestCable(t *testing.T) {
	onWire(t, func(w *wire) {
		w.b.SetCable(false)
		w.send(1)
		w.b.SetCable(true)
		w.send(1)
		w.wantQueued(1)
	})
}

func TestVanishedInterfaceFallsSilent(t *testing.T) {
	onWire(t, func(w *wire) {
		w.b.SetExists(false)
		w.b.SetExists(true)
		w.send(1)
		if n, err := w.to.Send(beta, [][]byte{{1}}); n != 0 || err == nil {
			t.Errorf("Send on a stale port = %d, %v", n, err)
		}
		w.wantQueued(0)
	})
}

func TestTapSeesWhatIsLost(t *testing.T) {
	onWire(t, func(w *wire) {
		var frames []vrrptest.Frame
		w.lan.Tap(func(f vrrptest.Frame) { frames = append(frames, f) })
		w.lan.SetLoss(func(_, _ string) bool { return true })
		w.send(1)
		if len(frames) != 1 || frames[0].From != "a" || frames[0].Source != alpha || string(frames[0].Message) != "\x31\x01\x02" {
			t.Errorf("frames = %+v", frames)
		}
		w.wantQueued(0)
	})
}
