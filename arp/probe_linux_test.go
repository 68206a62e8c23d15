package arp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/testenv"
)

func TestProbeFindsEveryOwner(t *testing.T) {
	l := newLAN(t)
	one := l.add(t, "192.0.2.1/24", "192.0.2.9/24")
	two := l.add(t, "192.0.2.2/24", "192.0.2.9/24")
	tests := []struct {
		addr string
		want []net.HardwareAddr
	}{
		{"192.0.2.77", nil},
		{"192.0.2.1", []net.HardwareAddr{one.mac}},
		{"192.0.2.9", []net.HardwareAddr{one.mac, two.mac}},
	}
	for _, test := range tests {
		t.Run(test.addr, func(t *testing.T) {
			start := time.Now()
			answers, err := Probe(t.Context(), "br0", netip.MustParseAddr(test.addr), 300*ms)
			must(t, err)
			if took := time.Since(start); took < 300*ms {
				t.Errorf("it waited %v, want 300ms: another answer might have come", took)
			}
			var got []net.HardwareAddr
			for _, a := range answers {
				got = append(got, a.MAC)
				if a.After <= 0 || a.After > 300*ms {
					t.Errorf("answer of %v after %v", a.MAC, a.After)
				}
			}
			slices.SortFunc(got, func(a, b net.HardwareAddr) int { return bytes.Compare(a, b) })
			slices.SortFunc(test.want, func(a, b net.HardwareAddr) int { return bytes.Compare(a, b) })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("owners (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProbePoisonsNoNeighbourTable(t *testing.T) {
	l := newLAN(t)
	owner, bystander := l.add(t, "192.0.2.9/24"), l.add(t, "192.0.2.2/24")
	var listener *packet.Conn
	owner.ns.Do(t, func() { listener = sniff(t, "eth0") })
	answers, err := Probe(t.Context(), "br0", netip.MustParseAddr("192.0.2.9"), 300*ms)
	if err != nil || len(answers) != 1 {
		t.Fatalf("answers %v, %v, want that of the owner", answers, err)
	}
	for _, h := range []host{owner, bystander} {
		if table := neighbours(t, h); len(table) != 0 {
			t.Errorf("neighbours after a probe: %v, want none", table)
		}
	}
	asked := frames(t, listener, 50*ms)
	want := wire(1, l.bridge.HardwareAddr, make(net.HardwareAddr, 6), [4]byte{192, 0, 2, 9})
	copy(want[28:32], []byte{0, 0, 0, 0})
	if len(asked) != probes {
		t.Errorf("%d probes, want %d", len(asked), probes)
	}
	for _, frame := range asked {
		if !bytes.Equal(frame, want) {
			t.Errorf("probe % x, want % x", frame, want)
		}
	}
}

func TestMalformedFramesDoNotEndAProbe(t *testing.T) {
	l := newLAN(t)
	owner, hostile := l.add(t, "192.0.2.9/24"), l.add(t)
	reply, err := announcement(ReplyForm, hostile.mac, netip.MustParseAddr("192.0.2.9"))
	must(t, err)
	long := bytes.Clone(reply)
	long[4] = 250 // hardware address length; the sender address still matches
	bad := [][]byte{long, reply[:20], {}, bytes.Repeat([]byte{0xff}, 64)}
	var conn *packet.Conn
	hostile.ns.Do(t, func() {
		ifi, err := net.InterfaceByName("eth0")
		must(t, err)
		conn, err = packet.Listen(ifi, packet.Datagram, etherTypeARP, nil)
		must(t, err)
	})
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	sent := 0
	flood.Go(func() {
		for ctx.Err() == nil {
			for _, data := range bad {
				if send(conn, broadcast(), data) == nil {
					sent++
				}
			}
		}
	})
	answers, err := Probe(t.Context(), "br0", netip.MustParseAddr("192.0.2.9"), 300*ms)
	cancel()
	flood.Wait()
	if err != nil || len(answers) != 1 || !bytes.Equal(answers[0].MAC, owner.mac) {
		t.Errorf("answers %v, %v, want %v alone", answers, err, owner.mac)
	}
	if sent < 100 {
		t.Errorf("only %d malformed frames were sent", sent)
	}
}

func TestProbeEndsWithItsContextAndItsInterface(t *testing.T) {
	l := newLAN(t)
	l.add(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
	defer cancel()
	addr := netip.MustParseAddr("192.0.2.9")
	if _, err := Probe(ctx, "br0", addr, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of the context", err)
	}
	bridge, err := netlink.LinkByName("br0")
	must(t, err)
	timer := time.AfterFunc(50*ms, func() { _ = netlink.LinkSetDown(bridge) })
	defer timer.Stop()
	if _, err := Probe(t.Context(), "br0", addr, time.Hour); err == nil || !strings.Contains(err.Error(), "network is down") {
		t.Errorf("error %v, want that the network is down", err)
	}
}

func TestProbeRefusesWhatItCannotAsk(t *testing.T) {
	testenv.Root(t)
	tests := []struct {
		ifname, addr string
		wait         time.Duration
		message      string
	}{
		{"lo", "2001:db8::1", time.Second, "asking for 2001:db8::1 on lo: the interface has no Ethernet address"},
		{"lo", "fe80::1%lo", time.Second, "fe80::1%lo is not an address as packets carry it"},
		{"lo", "::ffff:192.0.2.9", time.Second, "::ffff:192.0.2.9 is not an address as packets carry it"},
		{"lo", "192.0.2.9", time.Second, "asking for 192.0.2.9 on lo: the interface has no Ethernet address"},
		{"eth9", "192.0.2.9", time.Second, "no such network interface"},
		{"lo", "192.0.2.9", 0, "there is no time to wait"},
	}
	for _, test := range tests {
		_, err := Probe(t.Context(), test.ifname, netip.MustParseAddr(test.addr), test.wait)
		if err == nil || !strings.Contains(err.Error(), test.message) {
			t.Errorf("probe for %s on %s: %v, want %q", test.addr, test.ifname, err, test.message)
		}
	}
}

func TestClaimsOfOthersAreNoticed(t *testing.T) {
	for _, test := range []struct {
		form             Form
		held, other, how string
	}{
		{RequestForm, "192.0.2.9", "192.0.2.8", "by a request"},
		{AdvertisementForm, "2001:db8::9", "2001:db8::8", "unsolicited"},
	} {
		t.Run(test.how, func(t *testing.T) {
			testClaims(t, test.form, netip.MustParseAddr(test.held), netip.MustParseAddr(test.other))
		})
	}
}

func testClaims(t *testing.T, form Form, address, another netip.Addr) {
	l := newLAN(t)
	other := l.add(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	claims, ended := make(chan Claim, 100), make(chan error, 1)
	held := func(a netip.Addr) bool { return a == address }
	go func() { ended <- Claims(ctx, "br0", held, func(c Claim) { claims <- c }) }()
	var port Port
	other.ns.Do(t, func() {
		var err error
		port, err = Open("eth0")
		must(t, err)
	})
	defer func() { _ = port.Close() }()
	var claim Claim
	eventually(t, "a claim", func() bool {
		must(t, port.Announce(form, another)) // not held
		must(t, port.Announce(form, address))
		select {
		case claim = <-claims:
			return true
		default:
			return false
		}
	})
	if claim.Address != address || !bytes.Equal(claim.MAC, other.mac) || claim.Reply {
		t.Errorf("claim %+v, want %v at %v, by no reply", claim, address, other.mac)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Claims: %v", err)
	}
}

// A question from an address of this host teaches the neighbours that address,
// and no other.
func TestAskFromAnAddress(t *testing.T) {
	l := newLAN(t)
	owner := l.add(t, "192.0.2.9/24")
	link, err := netlink.LinkByName("br0")
	must(t, err)
	own, err := netlink.ParseAddr("192.0.2.5/24")
	must(t, err)
	must(t, netlink.AddrAdd(link, own))
	var listener *packet.Conn
	owner.ns.Do(t, func() { listener = sniff(t, "eth0") })
	answers, err := Ask(t.Context(), Question{
		Interface: "br0", Address: netip.MustParseAddr("192.0.2.9"), Wait: 300 * ms, Count: 2, From: netip.MustParseAddr("192.0.2.5"),
	})
	if err != nil || len(answers) != 1 || !bytes.Equal(answers[0].MAC, owner.mac) {
		t.Fatalf("answers %v, %v, want that of the owner", answers, err)
	}
	want := wire(1, l.bridge.HardwareAddr, make(net.HardwareAddr, 6), [4]byte{192, 0, 2, 9})
	copy(want[28:32], []byte{192, 0, 2, 5})
	asked := 0
	for _, frame := range frames(t, listener, 50*ms) {
		if bytes.Equal(frame, want) {
			asked++
		}
	}
	if asked != 2 {
		t.Errorf("%d questions from 192.0.2.5, want 2", asked)
	}
	if table := neighbours(t, owner); len(table) != 1 {
		t.Errorf("neighbours of the owner: %v, want the asker", table)
	}
}

func TestAskFromAnAddressOfAnotherFamilyIsRefused(t *testing.T) {
	newLAN(t)
	_, err := Ask(t.Context(), Question{
		Interface: "br0", Address: netip.MustParseAddr("192.0.2.9"), Wait: 300 * ms, From: netip.MustParseAddr("2001:db8::5"),
	})
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error = %v, want one that matches ErrUnsupported", err)
	}
}
