package arp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// startAnnouncer runs an announcer with real ports until the test ends.
func startAnnouncer(t *testing.T) *Announcer {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	a := NewAnnouncer(Open, quiet())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
		goleak.VerifyNone(t, ignore)
	})
	return a
}

// wire is an announcement as it must be on the wire.
func wire(form byte, mac net.HardwareAddr, target net.HardwareAddr, addr [4]byte) []byte {
	var b []byte
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	b = append(b, mac...)
	b = append(b, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, form)
	b = append(b, mac...)
	b = append(b, addr[:]...)
	b = append(b, target...)
	return append(b, addr[:]...)
}

// The sending interface has no IPv4 address at all.
func TestFramesOnTheWire(t *testing.T) {
	l := newLAN(t)
	h := l.add(t)
	listener := sniff(t, "br0")
	var a *Announcer
	h.ns.Do(t, func() {
		a = NewAnnouncer(Open, quiet())
		ctx, cancel := context.WithCancel(t.Context())
		a.Set(map[Target]Schedule{on("eth0", "192.0.2.9"): {Burst: 2, Spacing: 20 * ms, Again: 200 * ms}})
		timer := time.AfterFunc(500*ms, cancel)
		defer timer.Stop()
		must(t, a.Run(ctx))
	})
	addr := [4]byte{192, 0, 2, 9}
	var want [][]byte
	for range 4 {
		want = append(want, wire(1, h.mac, make(net.HardwareAddr, 6), addr), wire(2, h.mac, h.mac, addr))
	}
	if diff := cmp.Diff(want, frames(t, listener, 100*ms)); diff != "" {
		t.Errorf("frames (-want +got):\n%s", diff)
	}
}

func TestNeighboursFollowAnAnnouncement(t *testing.T) {
	l := newLAN(t)
	h := l.add(t, "192.0.2.1/24")
	h.ns.Do(t, func() {
		eth0, err := netlink.LinkByName("eth0")
		must(t, err)
		must(t, netlink.NeighSet(&netlink.Neigh{
			LinkIndex: eth0.Attrs().Index, IP: net.IPv4(192, 0, 2, 9), State: netlink.NUD_STALE,
			HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 0x66},
		}))
	})
	a := startAnnouncer(t)
	a.Set(map[Target]Schedule{on("br0", "192.0.2.9"): {Burst: 3, Spacing: 1100 * ms}}) // the kernel ignores changes within its locktime of 1 s
	eventually(t, "the neighbour's entry", func() bool {
		return bytes.Equal(neighbours(t, h)["192.0.2.9"], l.bridge.HardwareAddr)
	})
}

// neighbours is the table of a host's eth0.
func neighbours(t *testing.T, h host) map[string]net.HardwareAddr {
	t.Helper()
	table := map[string]net.HardwareAddr{}
	h.ns.Do(t, func() {
		eth0, err := netlink.LinkByName("eth0")
		must(t, err)
		list, err := netlink.NeighList(eth0.Attrs().Index, netlink.FAMILY_V4)
		must(t, err)
		for _, n := range list {
			table[n.IP.String()] = n.HardwareAddr
		}
	})
	return table
}

func TestAnnouncerSurvivesItsInterface(t *testing.T) {
	l := newLAN(t)
	l.add(t)
	a := startAnnouncer(t)
	a.Set(map[Target]Schedule{
		on("eth7", "192.0.2.9"): {Burst: 1, Refresh: 50 * ms},
		on("br0", "192.0.2.8"):  {Burst: 1, Refresh: 50 * ms},
	})
	state := func() map[Target]TargetStatus {
		list, err := a.Status(t.Context())
		must(t, err)
		targets := map[Target]TargetStatus{}
		for _, s := range list {
			targets[s.Target] = s
		}
		return targets
	}
	lost, other := on("eth7", "192.0.2.9"), on("br0", "192.0.2.8")
	eventually(t, "the problem of a missing interface", func() bool {
		return strings.Contains(state()[lost].Problem, "no such network interface")
	})
	for life := range 2 {
		address := net.HardwareAddr{2, 0, 0, 0, 7, byte(life)}
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth7", HardwareAddr: address}, PeerName: "eth7p"}
		must(t, netlink.LinkAdd(pair))
		peer, err := netlink.LinkByName("eth7p")
		must(t, err)
		must(t, netlink.LinkSetUp(peer))
		listener := sniff(t, "eth7p")
		must(t, netlink.LinkSetUp(pair))
		want := wire(1, address, make(net.HardwareAddr, 6), [4]byte{192, 0, 2, 9})
		eventually(t, fmt.Sprintf("announcements from %v", address), func() bool {
			all := frames(t, listener, 20*ms)
			return len(all) > 0 && bytes.Equal(all[0], want)
		})
		must(t, netlink.LinkDel(pair))
		eventually(t, "the problem of a vanished interface", func() bool { return state()[lost].Problem != "" })
	}
	before := state()[other]
	eventually(t, "announcements on the other interface", func() bool { return state()[other].Frames > before.Frames })
	if before.Problem != "" {
		t.Errorf("problem of the other interface: %s", before.Problem)
	}
}

func TestAnnouncerNoticesANewHardwareAddress(t *testing.T) {
	l := newLAN(t)
	h := l.add(t)
	a := startAnnouncer(t)
	a.Set(map[Target]Schedule{on("br0", "192.0.2.9"): {Burst: 1, Refresh: 50 * ms}})
	eventually(t, "the first round", func() bool {
		status, err := a.Status(t.Context())
		return err == nil && len(status) == 1 && status[0].Frames > 0
	})
	var listener interface {
		ReadFrom([]byte) (int, net.Addr, error)
	}
	h.ns.Do(t, func() { listener = sniff(t, "eth0") })
	address := net.HardwareAddr{2, 0, 0, 0, 9, 9}
	bridge, err := netlink.LinkByName("br0")
	must(t, err)
	must(t, netlink.LinkSetHardwareAddr(bridge, address))
	want := wire(2, address, address, [4]byte{192, 0, 2, 9})
	eventually(t, "announcements with the new address", func() bool {
		buf := make([]byte, 256)
		n, _, err := listener.ReadFrom(buf)
		must(t, err)
		return bytes.Equal(buf[:min(n, 42)], want)
	})
}

func TestInterfacesWithoutARPAreRefused(t *testing.T) {
	testenv.Root(t)
	if _, err := Open("lo"); !errors.Is(err, ErrNoARP) {
		t.Errorf("opening lo: %v, want ErrNoARP", err)
	}
	if _, err := Open("eth9"); err == nil || !strings.Contains(err.Error(), "opening an ARP socket on eth9: ") {
		t.Errorf("opening eth9: %v, want the interface named", err)
	}
}

func TestPortOfARenamedInterfaceIsNotCurrent(t *testing.T) {
	testenv.Root(t)
	address := net.HardwareAddr{2, 0, 0, 0, 7, 7}
	newPair := func() netlink.Link {
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth7", HardwareAddr: address}, PeerName: "eth7p"}
		must(t, netlink.LinkAdd(pair))
		t.Cleanup(func() { _ = netlink.LinkDel(pair) })
		return pair
	}
	first := newPair()
	port, err := Open("eth7")
	must(t, err)
	defer func() { _ = port.Close() }()
	if !port.Current() {
		t.Error("a port just opened is not current")
	}
	peer, err := netlink.LinkByName("eth7p")
	must(t, err)
	must(t, netlink.LinkSetName(first, "old7"))
	must(t, netlink.LinkSetName(peer, "old7p"))
	newPair() // of the same name and hardware address
	if port.Current() {
		t.Error("the port is current though its interface has another name now")
	}
}
