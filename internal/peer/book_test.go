package peer

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// says is the only datagram of a message.
func says(t *testing.T, node, run string, seq uint64) Datagram {
	t.Helper()
	datagrams, err := Encode(Message{Node: node, Run: run, Seq: seq})
	if err != nil || len(datagrams) != 1 {
		t.Fatalf("encoding: %d datagrams, %v", len(datagrams), err)
	}
	return Datagram{From: netip.MustParseAddr("192.0.2.2"), Interface: "eth0", Payload: datagrams[0]}
}

func names(peers []Peer) string {
	text := ""
	for _, p := range peers {
		text += fmt.Sprintf("%s/%s#%d ", p.Node, p.Run, p.Seq)
	}
	return text
}

func TestOwnMessagesAreNoPeer(t *testing.T) {
	b := NewBook("a")
	b.Hear(epoch, says(t, "lvs1", "a", 1))
	if got := names(b.Peers(epoch)); got != "" {
		t.Errorf("peers = %q, want none", got)
	}
}

func TestAnotherMachineOfTheSameNameIsAPeer(t *testing.T) {
	b := NewBook("a")
	b.Hear(epoch, says(t, "lvs1", "b", 1))
	if got, want := names(b.Peers(epoch)), "lvs1/b#1 "; got != want {
		t.Errorf("peers = %q, want %q", got, want)
	}
}

func TestLateMessagesAndCopiesChangeNothing(t *testing.T) {
	b := NewBook("a")
	for _, seq := range []uint64{5, 4, 5} {
		b.Hear(epoch.Add(time.Duration(seq)), says(t, "lvs2", "b", seq))
	}
	peers := b.Peers(epoch)
	if got, want := names(peers), "lvs2/b#5 "; got != want || !peers[0].At.Equal(epoch.Add(5)) {
		t.Errorf("peers = %q at %v, want %q", got, peers[0].At, want)
	}
}

func TestAMessageIsCompleteOrNotThere(t *testing.T) {
	b := NewBook("a")
	first, err := Encode(sample(100))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range first[1:] {
		b.Hear(epoch, Datagram{Payload: d})
		b.Hear(epoch, Datagram{Payload: d})
	}
	if got := names(b.Peers(epoch)); got != "" {
		t.Errorf("peers without the first page = %q, want none", got)
	}
	if !b.Hear(epoch, Datagram{Payload: first[0]}) {
		t.Error("not complete with all pages")
	}
}

func TestASilentPeerIsKeptForAnHour(t *testing.T) {
	b := NewBook("a")
	b.Hear(epoch, says(t, "lvs2", "b", 1))
	if got, want := names(b.Peers(epoch.Add(59*time.Minute))), "lvs2/b#1 "; got != want {
		t.Errorf("peers = %q, want %q", got, want)
	}
	if got := names(b.Peers(epoch.Add(61 * time.Minute))); got != "" {
		t.Errorf("peers = %q, want none", got)
	}
}

func TestARestartedPeerReplacesItsFormerSelf(t *testing.T) {
	b := NewBook("a")
	b.Hear(epoch, says(t, "lvs2", "b", 100))
	b.Hear(epoch.Add(time.Second), says(t, "lvs2", "c", 1))
	later := epoch.Add(time.Second + Silence)
	if got, want := names(b.Peers(later)), "lvs2/c#1 "; got != want {
		t.Errorf("peers = %q, want %q", got, want)
	}
}

func TestStrangersCannotFillTheBook(t *testing.T) {
	b := NewBook("a")
	for i := range 10 * maxPeers {
		b.Hear(epoch, says(t, "n"+fmt.Sprint(i), "r"+fmt.Sprint(i), 1))
	}
	if got := len(b.Peers(epoch)); got != maxPeers || b.Refused != 9*maxPeers {
		t.Errorf("peers = %d, refused %d, want %d and %d", got, b.Refused, maxPeers, 9*maxPeers)
	}
}

func TestAPathAcceptsItsLinkOrItsPeers(t *testing.T) {
	near, far := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("198.51.100.2")
	multicast := []Path{{Interface: "eth0"}}
	unicast := []Path{{Interface: "eth0", Peers: []netip.Addr{far}}}
	for name, test := range map[string]struct {
		paths  []Path
		ifname string
		from   netip.Addr
		ttl    int
		want   bool
	}{
		"from the link":           {multicast, "eth0", near, 255, true},
		"from behind a router":    {multicast, "eth0", near, 254, false},
		"from another link":       {multicast, "eth1", near, 255, false},
		"of another family":       {multicast, "eth0", netip.MustParseAddr("fe80::1"), 255, false},
		"from a peer":             {unicast, "eth1", far, 60, true},
		"from no peer":            {unicast, "eth0", near, 255, false},
		"where nobody is awaited": {nil, "eth0", near, 255, false},
	} {
		if got := accepts(test.paths, test.ifname, test.from, test.ttl); got != test.want {
			t.Errorf("%s: accepted = %v, want %v", name, got, test.want)
		}
	}
}
