package track

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// gateway is a host at the other end of uplink, with 192.0.2.254 and 2001:db8::254.
type gateway struct {
	t  *testing.T
	ns *testenv.Netns
}

func newGateway(t *testing.T) gateway {
	t.Helper()
	testenv.Root(t)
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "uplink"}, PeerName: "uplinkp"}
	must(t, netlink.LinkAdd(pair))
	t.Cleanup(func() { _ = netlink.LinkDel(pair) })
	peer, err := netlink.LinkByName("uplinkp")
	must(t, err)
	g := gateway{t, testenv.NewNetns(t)}
	must(t, netlink.LinkSetNsFd(peer, g.ns.Fd()))
	g.ns.Do(t, func() {
		link, err := netlink.LinkByName("uplinkp")
		must(t, err)
		must(t, netlink.LinkSetUp(link))
	})
	g.address(true)
	must(t, netlink.AddrAdd(pair, parse(t, "192.0.2.1/24")))
	must(t, netlink.LinkSetUp(pair))
	return g
}

func parse(t *testing.T, text string) *netlink.Addr {
	t.Helper()
	a, err := netlink.ParseAddr(text)
	must(t, err)
	a.Flags = 0x02 // IFA_F_NODAD: it answers at once
	return a
}

// address gives the gateway its addresses, or takes them away.
func (g gateway) address(there bool) {
	g.t.Helper()
	g.ns.Do(g.t, func() {
		link, err := netlink.LinkByName("uplinkp")
		must(g.t, err)
		for _, text := range []string{"192.0.2.254/24", "2001:db8::254/64"} {
			if there {
				must(g.t, netlink.AddrAdd(link, parse(g.t, text)))
			} else {
				must(g.t, netlink.AddrDel(link, parse(g.t, text)))
			}
		}
	})
}

// A gateway is followed by ping, by ARP and by neighbour discovery, as the checker
// process does it.
func TestGatewayIsFollowed(t *testing.T) {
	g := newGateway(t)
	target := func(id, kind, address string, o healthcheck.Options) healthcheck.Target {
		return healthcheck.Target{
			ID: id, Type: kind, Options: o, Address: netip.AddrPortFrom(netip.MustParseAddr(address), 1),
			Every: 200 * time.Millisecond, Timeout: 200 * time.Millisecond, Rise: 1, Fall: 2,
		}
	}
	uplink := Encode(Neighbour{Interface: "uplink"})
	targets := []healthcheck.Target{
		target("ping", "ping", "192.0.2.254", ""),
		target("arp", TypeNeighbour, "192.0.2.254", uplink),
		target("nd", TypeNeighbour, "2001:db8::254", uplink),
		target("no interface", TypeNeighbour, "192.0.2.254", Encode(Neighbour{Interface: "none"})),
	}
	verdicts := make(chan healthcheck.Verdict, 1000)
	runner := healthcheck.NewRunner(func(v healthcheck.Verdict) { verdicts <- v }, slog.New(slog.DiscardHandler))
	runner.Extend(Types())
	runner.Set(targets, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- runner.Run(ctx) }()
	defer func() { cancel(); <-ended }()

	last := make(map[string]healthcheck.Verdict)
	await := func(when string, want map[string]healthcheck.Status) {
		t.Helper()
		bound := time.After(30 * time.Second)
		for {
			met := true
			for id, status := range want {
				met = met && last[id].Status == status
			}
			if met {
				return
			}
			select {
			case v := <-verdicts:
				last[v.ID] = v
			case <-bound:
				t.Fatalf("%s: %+v, want %v", when, last, want)
			}
		}
	}
	const up, down = healthcheck.Up, healthcheck.Down
	await("with the gateway", map[string]healthcheck.Status{"ping": up, "arp": up, "nd": up, "no interface": down})
	var mac string
	g.ns.Do(t, func() {
		link, err := netlink.LinkByName("uplinkp")
		must(t, err)
		mac = link.Attrs().HardwareAddr.String()
	})
	if got := last["arp"]; got.Reason != healthcheck.ReasonAnswered || got.Detail != mac {
		t.Errorf("by ARP: %s, %q, want an answer of %s", got.Reason, got.Detail, mac)
	}
	if got := last["no interface"]; got.Reason != healthcheck.ReasonUnreachable {
		t.Errorf("without the interface: %s, %q", got.Reason, got.Detail)
	}
	g.address(false)
	await("without the address", map[string]healthcheck.Status{"ping": down, "arp": down, "nd": down})
	if got := last["arp"]; got.Reason != ReasonSilent {
		t.Errorf("by ARP: %s, %q, want silence", got.Reason, got.Detail)
	}
	g.address(true)
	await("with the address again", map[string]healthcheck.Status{"ping": up, "arp": up, "nd": up})
}
