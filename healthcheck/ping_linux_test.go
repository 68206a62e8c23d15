package healthcheck

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"github.com/haldir-lb/haldir/internal/testenv"
)

func TestPing(t *testing.T) {
	testenv.Root(t)
	before := goleak.IgnoreCurrent()
	check, err := Ping{}.checker()
	if err != nil {
		t.Fatal(err)
	}
	once := func(address string, timeout time.Duration) Result {
		ctx, cancel := contextFor(t, timeout)
		defer cancel()
		return check(ctx, time.Now(), Target{Address: netip.MustParseAddrPort(address)})
	}
	once("127.0.0.1:1", time.Second)
	open := descriptors(t)
	var all sync.WaitGroup
	for range 50 { // at a time, on one socket of each family
		all.Go(func() { want(t, once("127.0.0.2:1", 5*time.Second), Pass, ReasonAnswered, "") })
		all.Go(func() { want(t, once("[::1]:1", 5*time.Second), Pass, ReasonAnswered, "") })
	}
	all.Wait()
	if now := descriptors(t); now > open { // those of earlier tests may close meanwhile
		t.Errorf("%d descriptors are open, %d were before", now, open)
	}
	goleak.VerifyNone(t, before)

	want(t, once("203.0.113.1:1", time.Second), Fail, ReasonUnreachable, "network is unreachable")
	segment(t)
	want(t, once("198.51.100.9:1", short), Fail, ReasonTimeout, "no reply")
}

func TestEchoReplies(t *testing.T) {
	packet := func(kind icmp.Type, data []byte) []byte {
		b, err := (&icmp.Message{Type: kind, Body: &icmp.Echo{ID: 1, Seq: 2, Data: data}}).Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	data := []byte("0123456789abcdef")
	tests := []struct {
		name string
		in   []byte
		ok   bool
	}{
		{"reply", packet(ipv4.ICMPTypeEchoReply, data), true},
		{"request", packet(ipv4.ICMPTypeEcho, data), false},
		{"short", packet(ipv4.ICMPTypeEchoReply, data[1:]), false},
		{"empty", nil, false},
	}
	for _, tt := range tests {
		if got, ok := parseEcho(1, tt.in); ok != tt.ok || ok && string(got[:]) != string(data) {
			t.Errorf("%s: %q, %v", tt.name, got, ok)
		}
	}
}

func FuzzEcho(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x01\x00\x020123456789abcdef"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		if _, ok := parseEcho(1, packet); ok && (len(packet) != 24 || packet[0] != 0) {
			t.Errorf("%x is taken for a reply", packet)
		}
		parseEcho(58, packet)
	})
}
