package vrrp_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

// pair starts two nodes of priority 200 and 100; a has just become master.
func (w *world) pair() (a, b *node) {
	a, b = w.node("a", alpha), w.node("b", beta)
	a.Set([]vrrp.RouterConfig{config(200)}, nil)
	b.Set([]vrrp.RouterConfig{config(100)}, nil)
	time.Sleep(3218750 * time.Microsecond)
	w.took()
	return a, b
}

func TestPartitionAndHeal(t *testing.T) {
	inBubble(t, func(w *world) {
		a, _ := w.pair()
		w.lan.Partition([]string{"a"}, []string{"b"})
		time.Sleep(3700 * time.Millisecond)
		w.want("4.21875s a sends 200", "5.21875s a sends 200", "6.21875s a sends 200",
			"6.828125s b sends 100", "6.828125s b: backup to master: master silent")
		w.lan.Heal()
		time.Sleep(time.Second)
		w.want("7.21875s a sends 200", "7.21875s b sends 100", "7.21875s b: master to backup: higher priority heard",
			"7.21875s a: master to master: second master heard, staying master", "7.22875s a sends 200")
		if got := a.status().State; got != vrrp.Master {
			w.Errorf("a is %v, want master", got)
		}
	})
}

// The other order: the master that stays hears the rival first.
func TestHealNoticedByTheOneThatStays(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		w.lan.Partition([]string{"a"}, []string{"b"})
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		b.Set([]vrrp.RouterConfig{config(100)}, nil)
		time.Sleep(4300 * time.Millisecond)
		w.took()
		w.lan.Heal()
		time.Sleep(400 * time.Millisecond)
		w.want("4.609375s b sends 100", "4.609375s a sends 200",
			"4.609375s a: master to master: second master heard, staying master", "4.609375s b sends 100",
			"4.609375s b: master to backup: higher priority heard", "4.619375s a sends 200")
	})
}

func TestLossBelowThePatienceChangesNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.pair()
		n := 0
		w.lan.SetLoss(func(_, _ string) bool { n++; return n%3 != 0 }) // two of three
		time.Sleep(30 * time.Second)
		for _, line := range w.took() {
			if !strings.Contains(line, "a sends 200") {
				w.Errorf("unexpected %q", line)
			}
		}
	})
}

func TestDelayAndDuplicationChangeNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		_, b := w.pair()
		w.lan.SetDelay(150 * time.Millisecond)
		w.lan.SetCopies(3)
		time.Sleep(10 * time.Second)
		for _, line := range w.took() {
			if !strings.Contains(line, "a sends 200") {
				w.Errorf("unexpected %q", line)
			}
		}
		if got := b.status(); got.Received < 27 || got.Heard == nil || got.Heard.Priority != 200 {
			w.Errorf("b received %d, heard %+v", got.Received, got.Heard)
		}
	})
}

// Own packets that come back are neither yielded to nor answered.
func TestLoopedBackAdvertsHaveNoEffect(t *testing.T) {
	inBubble(t, func(w *world) {
		w.lan.SetLoopback(true)
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		time.Sleep(2 * time.Second)
		w.want("0s a sends 255", "0s a: init to master: address owner", "1s a sends 255", "2s a sends 255")
		if got := a.status(); got.Dropped["own packet"] != 3 || got.Received != 0 || got.Heard != nil {
			w.Errorf("dropped %v, received %d, heard %+v; want 3 own packets", got.Dropped, got.Received, got.Heard)
		}
	})
}

// Every dropped packet is counted under its reason, and moves no timer.
func TestDroppedPacketsAreCountedAndHaveNoEffect(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		w.want("0s a: init to backup: start")
		stranger := netip.MustParseAddr("198.51.100.9")
		good, err := (&vrrp.Packet{VRID: 51, Priority: 250, Interval: time.Second, Addresses: []netip.Addr{vip}}).Append(nil, stranger, vrrp.Group)
		if err != nil {
			w.Fatal(err)
		}
		otherVRID, _ := (&vrrp.Packet{VRID: 52, Priority: 250, Interval: time.Second, Addresses: []netip.Addr{vip}}).Append(nil, stranger, vrrp.Group)
		v2 := append([]byte{0x21}, good[1:]...)
		inject := func(source netip.Addr, ttl uint8, payload []byte) {
			w.lan.Inject(vrrp.Datagram{Source: source, Destination: vrrp.Group, TTL: ttl, Payload: payload})
		}
		for range 32 { // every 100 ms, until just before the takeover
			inject(stranger, 254, good)
			inject(stranger, 255, v2)
			inject(stranger, 255, good[:11])
			inject(beta, 255, good) // checksum of another source
			inject(stranger, 255, otherVRID)
			inject(stranger, 255, good[:1])
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(18750 * time.Microsecond)
		w.want("3.21875s a sends 200", "3.21875s a: backup to master: master silent")
		got := a.status()
		want := map[string]uint64{"TTL not 255": 32, "version": 32, "length": 32, "checksum": 32}
		if d := cmp.Diff(want, got.Dropped); d != "" || got.Received != 0 {
			w.Errorf("received %d, dropped (-want +got):\n%s", got.Received, d)
		}
		a.crash()
		for _, reason := range append([]string{"unknown VRID"}, keys(want)...) {
			if n := strings.Count(a.log.String(), reason); n > 1 {
				w.Errorf("%d log lines about %q, want at most one a minute", n, reason)
			}
		}
	})
}

// 20,000 random and mutated packets change neither the state nor the process.
func TestGarbageHasNoEffect(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		w.took()
		stranger := netip.MustParseAddr("198.51.100.9")
		good, err := (&vrrp.Packet{VRID: 51, Priority: 250, Interval: time.Second, Addresses: []netip.Addr{vip}}).Append(nil, stranger, vrrp.Group)
		if err != nil {
			w.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, 2))
		for i := range 20000 {
			b := slices.Clone(good)
			if i%2 == 0 {
				b = make([]byte, random.IntN(60))
				for j := range b {
					b[j] = byte(random.Uint32())
				}
			} else {
				b[random.IntN(len(b))] ^= byte(1 + random.IntN(255))
				b = b[:len(b)-random.IntN(2)*random.IntN(len(b))]
			}
			w.lan.Inject(vrrp.Datagram{Source: stranger, Destination: vrrp.Group, TTL: 255, Payload: b})
			if i%100 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		time.Sleep(1218750*time.Microsecond - 1)
		w.want()
		time.Sleep(time.Nanosecond)
		w.want("3.21875s a sends 200", "3.21875s a: backup to master: master silent")
		got := a.status()
		if got.Received != 0 || got.Dropped["checksum"] < 1000 || got.Dropped["length"] < 1000 {
			w.Errorf("received %d, dropped %v", got.Received, got.Dropped)
		}
	})
}

func keys(m map[string]uint64) (k []string) {
	for key := range maps.Keys(m) {
		k = append(k, key)
	}
	return k
}

// RFC 9568, 7.1: other addresses or another interval are logged, not dropped.
func TestDifferentConfigurationIsShownAndFollowed(t *testing.T) {
	inBubble(t, func(w *world) {
		_, b := w.pair()
		stranger := netip.MustParseAddr("198.51.100.9")
		say := func(interval time.Duration, addresses ...netip.Addr) {
			m, err := (&vrrp.Packet{VRID: 51, Priority: 250, Interval: interval, Addresses: addresses}).Append(nil, stranger, vrrp.Group)
			if err != nil {
				w.Fatal(err)
			}
			w.lan.Inject(vrrp.Datagram{Source: stranger, Destination: vrrp.Group, TTL: 255, Payload: m})
			synctest.Wait()
		}
		say(time.Second, vip, beta)
		b.wantProblem("198.51.100.9 advertises other addresses")
		say(2*time.Second, vip)
		b.wantProblem("198.51.100.9 advertises another interval: 2s")
		say(time.Second, vip)
		b.wantProblem("")
		if got := b.status(); got.Master != stranger || got.State != vrrp.Backup {
			w.Errorf("master = %v in state %v, want %v", got.Master, got.State, stranger)
		}
	})
}

func TestStatusShowsTheMasterAndItsAge(t *testing.T) {
	inBubble(t, func(w *world) {
		_, b := w.pair()
		time.Sleep(300 * time.Millisecond)
		got := b.status()
		want := vrrp.Heard{From: alpha, Priority: 200, Interval: time.Second, Age: 300 * time.Millisecond, Checksum: vrrp.ChecksumRFC5798}
		if got.Heard == nil || *got.Heard != want {
			w.Errorf("heard %+v, want %+v", got.Heard, want)
		}
		if got.Master != alpha || got.Source != beta || got.Reason != vrrp.ReasonStart || !got.Since.Equal(w.start) {
			w.Errorf("status = %+v", got)
		}
	})
}

// stuck is a log that never comes back from its first line, until released.
type stuck struct {
	slog.Handler
	release chan struct{}
}

func (h stuck) Handle(context.Context, slog.Record) error {
	<-h.release
	return nil
}

func TestAStuckLogHoldsNothingBack(t *testing.T) {
	inBubble(t, func(w *world) {
		h := stuck{slog.NewTextHandler(io.Discard, nil), make(chan struct{})}
		sent := 0
		w.lan.Tap(func(vrrptest.Frame) { sent++ })
		s := vrrp.NewSpeaker(w.lan.Host("a", "eth0", alpha), func(vrrp.Transition) {}, slog.New(h))
		ctx, cancel := context.WithCancel(w.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		s.Set([]vrrp.RouterConfig{config(255)}, nil)
		synctest.Wait()
		for range 1000 { // each makes several lines
			s.Link("eth0", false)
			s.Link("eth0", true)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if sent != 1001+10 {
			w.Errorf("%d adverts, want 1011", sent)
		}
		cancel()
		close(h.release)
		<-done
	})
}

// In steady state neither sending nor receiving makes garbage. The keepers, which
// look at their interface once a second, make a little; one object for each of the
// hundred adverts would stand out.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		w.lan.Tap(nil)
		for n, priority := range map[*node]uint8{a: 200, b: 100} {
			cfg := config(priority)
			cfg.Interval = 10 * time.Millisecond
			n.Set([]vrrp.RouterConfig{cfg}, nil)
		}
		time.Sleep(time.Minute)
		before := b.status().Received
		objects := testing.AllocsPerRun(100, func() { time.Sleep(time.Second) })
		if received := b.status().Received - before; received < 100*100 {
			t.Fatalf("received %d adverts in 101 s, want 100 a second", received)
		}
		if objects > 50 {
			t.Errorf("%v objects in a second of 100 adverts, want the keepers' alone", objects)
		}
		t.Logf("%v objects a second", objects)
	})
}
