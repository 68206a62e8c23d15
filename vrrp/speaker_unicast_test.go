package vrrp_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

func unicast(priority uint8) vrrp.RouterConfig {
	cfg := config(priority)
	cfg.Peers = []netip.Addr{alpha, beta} // the same list on both
	return cfg
}

func TestUnicastElectionAndHandover(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		c := w.node("c", netip.MustParseAddr("198.51.100.9")) // a multicast router of the same VRID hears nothing of it
		a.Set([]vrrp.RouterConfig{unicast(200)}, nil)
		b.Set([]vrrp.RouterConfig{unicast(100)}, nil)
		w.took()
		time.Sleep(4300 * time.Millisecond)
		w.want("3.21875s a sends 200", "3.21875s a: backup to master: master silent", "4.21875s a sends 200")
		if got := b.status(); got.Received != 2 || got.Master != alpha || len(got.Dropped) != 0 {
			w.Errorf("b received %d, master %v, dropped %v", got.Received, got.Master, got.Dropped)
		}
		if got := a.status(); got.Sent != 2 {
			w.Errorf("a sent %d, want 2: none to itself", got.Sent)
		}
		if err := a.Shutdown(w.Context()); err != nil {
			w.Error(err)
		}
		w.want("4.3s a sends 0", "4.3s a: master to leaving: shutdown",
			"4.909375s b sends 100", "4.909375s b: backup to master: master resigned", "5.009375s a: leaving to init: successor heard")
		c.Set([]vrrp.RouterConfig{config(250)}, nil)
		time.Sleep(10 * time.Second)
		if got := b.status(); got.State != vrrp.Master || got.Dropped["destination"] == 0 || got.Received != 3 {
			w.Errorf("b is %v, received %d, dropped %v; want master that ignores multicast", got.State, got.Received, got.Dropped)
		}
	})
}

func TestUnicastStrangersAreDropped(t *testing.T) {
	inBubble(t, func(w *world) {
		b := w.node("b", beta)
		b.Set([]vrrp.RouterConfig{unicast(100)}, nil)
		w.took()
		stranger := netip.MustParseAddr("198.51.100.9")
		m, err := (&vrrp.Packet{VRID: 51, Priority: 250, Interval: time.Second, Addresses: []netip.Addr{vip}}).Append(nil, stranger, beta)
		if err != nil {
			w.Fatal(err)
		}
		for range 36 {
			w.lan.Inject(vrrp.Datagram{Source: stranger, Destination: beta, TTL: 255, Payload: m})
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(9375 * time.Microsecond)
		w.want("3.609375s b sends 100", "3.609375s b: backup to master: master silent")
		if d := cmp.Diff(map[string]uint64{"not a peer": 36}, b.status().Dropped); d != "" {
			w.Errorf("dropped (-want +got):\n%s", d)
		}
	})
}

// Peers and mode may change at run time without a change of role.
func TestPeersChangeAtRunTime(t *testing.T) {
	inBubble(t, func(w *world) {
		var destinations []netip.Addr
		w.lan.Tap(func(f vrrptest.Frame) { destinations = append(destinations, f.Destination) })
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		cfg := config(255)
		cfg.Peers = []netip.Addr{beta}
		a.Set([]vrrp.RouterConfig{cfg}, nil)
		w.took()
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.want()
		if d := cmp.Diff([]netip.Addr{vrrp.Group, beta, vrrp.Group}, destinations, cmp.Comparer(func(x, y netip.Addr) bool { return x == y })); d != "" {
			w.Errorf("destinations (-want +got):\n%s", d)
		}
	})
}

// One peer that cannot be reached keeps the others not, and is a problem that is
// logged once.
func TestUnicastSendFailureIsShownAndLoggedOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.host.FailSendsTo(beta, errors.New("no route"))
		cfg := config(255)
		cfg.Peers = []netip.Addr{beta, netip.MustParseAddr("198.51.100.9")}
		a.Set([]vrrp.RouterConfig{cfg}, nil)
		time.Sleep(10 * time.Second)
		if got := a.status(); got.Sent != 11 || !strings.Contains(got.Problem, "no route") {
			w.Errorf("sent %d, problem %q; want 11 to the other peer, and the problem", got.Sent, got.Problem)
		}
		a.host.FailSendsTo(beta, nil)
		time.Sleep(time.Second)
		if got := a.status(); got.Problem != "" {
			w.Errorf("problem = %q, want none", got.Problem)
		}
		a.crash()
		if n := strings.Count(a.log.String(), "no route"); n != 1 {
			w.Errorf("%d log lines, want 1", n)
		}
	})
}

// What only receives change, too, takes effect at run time; and the caller's slice
// is the caller's.
func TestReceiveChecksChangeAtRunTime(t *testing.T) {
	inBubble(t, func(w *world) {
		b := w.node("b", beta)
		cfg := unicast(100)
		b.Set([]vrrp.RouterConfig{cfg}, nil)
		w.took()
		m, err := (&vrrp.Packet{VRID: 51, Priority: 50, Interval: time.Second, Addresses: []netip.Addr{vip}}).Append(nil, alpha, beta)
		if err != nil {
			w.Fatal(err)
		}
		inject := func() vrrp.RouterStatus {
			w.lan.Inject(vrrp.Datagram{Source: alpha, Destination: beta, TTL: 200, Payload: m})
			w.took()
			return b.status()
		}
		cfg.Peers[0] = netip.MustParseAddr("198.51.100.9")
		if got := inject(); got.Received != 1 {
			w.Errorf("received %d, dropped %v, want the advert of a peer", got.Received, got.Dropped)
		}
		cfg = unicast(100)
		cfg.MinTTL = 255
		b.Set([]vrrp.RouterConfig{cfg}, nil)
		if got := inject(); got.Received != 1 || got.Dropped["TTL below the minimum"] != 1 {
			w.Errorf("received %d, dropped %v, want one below the minimum", got.Received, got.Dropped)
		}
	})
}
