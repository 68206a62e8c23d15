package healthcheck

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
)

// judged runs a Runner with its own connector until each target has a verdict with
// a reason, and returns these by ID.
func judged(t *testing.T, targets ...Target) map[string]Verdict {
	t.Helper()
	given := make(chan Verdict, 1000)
	r := NewRunner(func(v Verdict) {
		select {
		case given <- v:
		default:
		}
	}, slog.New(slog.DiscardHandler))
	for _, target := range targets {
		if !connects(target) {
			t.Fatalf("%s is not for the connector", target.ID)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	r.Set(targets, nil)
	go func() { ended <- r.Run(ctx) }()
	out := make(map[string]Verdict)
	bound := time.After(20 * time.Second)
	for len(out) < len(targets) {
		select {
		case v := <-given:
			out[v.ID] = v
		case <-bound:
			t.Fatalf("only these were judged: %v", out)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	return out
}

func TestConnectorTellsWhatBecameOfAConnection(t *testing.T) {
	link, far := segment(t)
	if err := netlink.NeighAdd(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.IPv4(198, 51, 100, 2), HardwareAddr: far,
	}); err != nil {
		t.Fatal(err)
	}
	six, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer six.Close()
	refuses := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 9)
	at := func(id string, address netip.AddrPort) Target {
		return target(id, func(t *Target) { t.Address, t.Every, t.Timeout = address, 50*time.Millisecond, 100*time.Millisecond })
	}
	answers := listen(t, discard)
	before, open, waiting := goleak.IgnoreCurrent(), descriptors(t), timeWait(t)
	got := judged(t,
		at("answers", answers),
		at("answers too", netip.AddrPortFrom(netip.AddrFrom16(answers.Addr().As16()), answers.Port())),
		at("answers by IPv6", six.Addr().(*net.TCPAddr).AddrPort()),
		at("refuses", refuses),
		at("drops", netip.MustParseAddrPort("198.51.100.2:80")),
		at("has no route", netip.MustParseAddrPort("203.0.113.1:80")),
	)
	for id, want := range map[string]Reason{
		"answers": ReasonConnected, "answers too": ReasonConnected, "answers by IPv6": ReasonConnected,
		"refuses": ReasonRefused, "drops": ReasonTimeout, "has no route": ReasonUnreachable,
	} {
		if v := got[id]; v.Reason != want || (v.Status == Up) != (want == ReasonConnected) {
			t.Errorf("%s: %s for %q, want the reason %q", id, v.Status, v.Reason, want)
		}
	}
	if took := got["drops"].Duration; took < 50*time.Millisecond || took > 2*time.Second {
		t.Errorf("a connection that is dropped was given up after %s, want the timeout", took)
	}
	goleak.VerifyNone(t, before)
	if now := descriptors(t); now > open {
		t.Errorf("%d descriptors are open, %d were before", now, open)
	}
	if n := timeWait(t); n > waiting {
		t.Errorf("%d sockets are in TIME_WAIT, %d were before", n, waiting)
	}
}

func TestConnectorLeavesChecksOfMoreThanAConnectionAlone(t *testing.T) {
	plain := target("a")
	if !connects(plain) {
		t.Error("a plain check is not for the connector")
	}
	for what, change := range map[string]func(*Target){
		"a dialogue":              func(t *Target) { t.Options = Encode(TCP{Expect: Hex("x")}) },
		"another type":            func(t *Target) { t.Type = "http" },
		"through the VIP":         func(t *Target) { t.Mark, t.Real = 1, t.Address },
		"by a zone of interfaces": func(t *Target) { t.Address = netip.MustParseAddrPort("[fe80::1%lo]:80") },
	} {
		other := plain
		change(&other)
		if connects(other) {
			t.Errorf("%s is for the connector", what)
		}
	}
}
