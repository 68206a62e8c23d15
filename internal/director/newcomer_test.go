package director

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/peer"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

func (l *memoryLink) hear(t *testing.T, m peer.Message) {
	t.Helper()
	datagrams, err := peer.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range datagrams {
		l.sink(peer.Datagram{From: netip.MustParseAddr("192.0.2.2"), Interface: "eth0", Payload: payload})
	}
	settle(time.Millisecond)
}

func (l *memoryLink) sends() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.times
}

// TestANewcomerIsToldAtOnce: a director that begins may be master within three short
// intervals, and must know by then who else has the entries.
func TestANewcomerIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pairConfig("lvs1")
		six := netip.MustParseAddr("2001:db8::1")
		c.Services[0].Real[0].Address = six
		host := newFakeHost()
		host.addresses = []netif.PresentAddress{{Address: netif.Address{Interface: "eth0", Prefix: netip.PrefixFrom(six, 64)}}}
		n := newNode(t, c, vrrptest.NewLAN().Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1")), host)
		defer n.end()
		link := &memoryLink{}
		n.peers = link
		n.startSpeaker()
		n.startDirector()
		settle(time.Millisecond)
		if got := link.sends(); got != 1 {
			t.Fatalf("it told of itself %d times when it began, want once", got)
		}
		other := peer.Message{Node: "lvs2", Run: "first", Seq: 1}
		for _, step := range []struct {
			what  string
			say   func()
			sends int // so far
		}{
			{"a newcomer", func() {}, 2},
			{"one that is known", func() { other.Seq++ }, 2},
			{"another run of it", func() { other.Run, other.Seq = "second", 1 }, 3},
			{"an address of its own", func() { other.Seq, other.Serves = 2, []netip.Addr{netip.MustParseAddr("2001:db8::2")} }, 4},
			{"the same address", func() { other.Seq++ }, 4},
		} {
			step.say()
			link.hear(t, other)
			if got := link.sends(); got != step.sends {
				t.Errorf("%s: it has told of itself %d times, want %d", step.what, got, step.sends)
			}
		}

		// What it says: the address at which it serves, of either family.
		book := peer.NewBook("another")
		for _, payload := range link.sent {
			book.Hear(time.Now(), peer.Datagram{Payload: payload})
		}
		if got := book.Peers(time.Now()); len(got) != 1 || len(got[0].Serves) != 1 || got[0].Serves[0] != six {
			t.Errorf("it told %+v, want that it serves at %s", got, six)
		}
	})
}

func TestDirectorsAreKnownByWhatTheyServeAtToo(t *testing.T) {
	p := newPeers()
	six := netip.MustParseAddr("2001:db8::2")
	datagrams, err := peer.Encode(peer.Message{Node: "lvs2", Run: "x", Seq: 1, Serves: []netip.Addr{six}})
	if err != nil {
		t.Fatal(err)
	}
	p.book.Hear(noon, peer.Datagram{From: netip.MustParseAddr("192.0.2.2"), Payload: datagrams[0]})
	got := p.directors(noon)
	if len(got) != 2 || got[0] != netip.MustParseAddr("192.0.2.2") || got[1] != six {
		t.Errorf("directors %v, want where it was heard from, and %s", got, six)
	}
}
