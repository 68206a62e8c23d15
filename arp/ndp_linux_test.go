package arp

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// hold gives a host's eth0 IPv6 addresses without duplicate address detection.
func (h host) hold(t *testing.T, addrs ...netip.Addr) {
	t.Helper()
	h.ns.Do(t, func() {
		eth0, err := netlink.LinkByName("eth0")
		must(t, err)
		for _, a := range addrs {
			must(t, netlink.AddrAdd(eth0, &netlink.Addr{
				IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD,
			}))
		}
	})
}

// discovery reads neighbour discovery about vip6 until there was none for a while.
func discovery(t *testing.T, conn *packet.Conn, quiet time.Duration) [][]byte {
	t.Helper()
	var all [][]byte
	for {
		must(t, conn.SetReadDeadline(time.Now().Add(quiet)))
		buf := make([]byte, 256)
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return all
		}
		frame := buf[:n]
		if n >= 14+headerLen6+messageLen6 && bytes.Equal(frame[14+targetOffset6:][:16], vip6.AsSlice()) {
			all = append(all, frame)
		}
	}
}

func sniff6(t *testing.T, ifname string) *packet.Conn {
	t.Helper()
	ifi, err := net.InterfaceByName(ifname)
	must(t, err)
	conn, err := packet.Listen(ifi, packet.Raw, etherTypeIPv6, nil)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// forward makes an interface of this thread's namespace a router's.
func forward(t *testing.T, ifname string) {
	t.Helper()
	must(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+ifname+"/forwarding", []byte("1"), 0o644))
}

// The sending interface has no IPv6 address but what the kernel gave it, and does
// not hold the address.
func TestAdvertisementsOnTheWire(t *testing.T) {
	l := newLAN(t)
	h := l.add(t)
	listener := sniff6(t, "br0")
	h.ns.Do(t, func() {
		forward(t, "eth0")
		a := NewAnnouncer(Open, quiet())
		ctx, cancel := context.WithCancel(t.Context())
		a.Set(map[Target]Schedule{{Interface: "eth0", Address: vip6}: {Burst: 2, Spacing: 20 * ms, Again: 200 * ms}})
		timer := time.AfterFunc(500*ms, cancel)
		defer timer.Stop()
		must(t, a.Run(ctx))
	})
	body, _, err := advertisement(h.mac, vip6, true)
	must(t, err)
	frame := append([]byte{0x33, 0x33, 0, 0, 0, 1}, h.mac...)
	frame = append(append(frame, 0x86, 0xdd), body...)
	if diff := cmp.Diff([][]byte{frame, frame, frame, frame}, discovery(t, listener, 100*ms)); diff != "" {
		t.Errorf("frames (-want +got):\n%s", diff)
	}
}

// A host that does not forward does not call itself a router; once it does, it is
// noticed.
func TestRouterFlagFollowsForwarding(t *testing.T) {
	l := newLAN(t)
	h := l.add(t)
	listener := sniff6(t, "br0")
	var port Port
	h.ns.Do(t, func() {
		var err error
		port, err = Open("eth0")
		must(t, err)
		must(t, port.Announce(AdvertisementForm, vip6))
		if !port.Current() {
			t.Error("the port is out of date although nothing has changed")
		}
		forward(t, "eth0")
		if port.Current() {
			t.Error("the port does not notice that the interface forwards now")
		}
		must(t, port.Close())
		port, err = Open("eth0")
		must(t, err)
		must(t, port.Announce(AdvertisementForm, vip6))
		must(t, port.Close())
	})
	var got []byte
	for _, frame := range discovery(t, listener, 100*ms) {
		got = append(got, frame[14+headerLen6+4])
	}
	if want := []byte{flagOverride, flagOverride | flagRouter}; !bytes.Equal(got, want) {
		t.Errorf("flags %x, want %x", got, want)
	}
}

// The override flag makes a neighbour replace what it knows, and the router flag
// arrives.
func TestNeighboursFollowAnAdvertisement(t *testing.T) {
	l := newLAN(t)
	h := l.add(t)
	h.hold(t, netip.MustParseAddr("2001:db8::1"))
	entry := func() (found netlink.Neigh) {
		h.ns.Do(t, func() {
			eth0, err := netlink.LinkByName("eth0")
			must(t, err)
			list, err := netlink.NeighList(eth0.Attrs().Index, netlink.FAMILY_V6)
			must(t, err)
			for _, n := range list {
				if n.IP.Equal(vip6.AsSlice()) {
					found = n
				}
			}
		})
		return found
	}
	h.ns.Do(t, func() {
		eth0, err := netlink.LinkByName("eth0")
		must(t, err)
		must(t, netlink.NeighSet(&netlink.Neigh{
			LinkIndex: eth0.Attrs().Index, IP: vip6.AsSlice(), State: netlink.NUD_STALE,
			HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 0x66},
		}))
	})
	forward(t, "br0")
	a := startAnnouncer(t)
	a.Set(map[Target]Schedule{{Interface: "br0", Address: vip6}: {Burst: 3, Spacing: 100 * ms}})
	eventually(t, "the neighbour's entry", func() bool {
		n := entry()
		return bytes.Equal(n.HardwareAddr, l.bridge.HardwareAddr) && n.Flags&unix.NTF_ROUTER != 0
	})
}

func TestProbeFindsEveryOwnerOfAnIPv6Address(t *testing.T) {
	l := newLAN(t)
	one, two, bystander := l.add(t), l.add(t), l.add(t)
	one.hold(t, vip6, netip.MustParseAddr("2001:db8::1"))
	two.hold(t, vip6, local6)
	for _, test := range []struct {
		addr netip.Addr
		want []net.HardwareAddr
	}{
		{netip.MustParseAddr("2001:db8::77"), nil},
		{local6, []net.HardwareAddr{two.mac}},
		{vip6, []net.HardwareAddr{one.mac, two.mac}},
	} {
		answers, err := Probe(t.Context(), "br0", test.addr, 300*ms)
		must(t, err)
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
			t.Errorf("owners of %v (-want +got):\n%s", test.addr, diff)
		}
	}
	// Nobody learned anything of whoever asked, and the owners keep the address.
	for _, h := range []host{one, two, bystander} {
		h.ns.Do(t, func() {
			eth0, err := netlink.LinkByName("eth0")
			must(t, err)
			list, err := netlink.NeighList(eth0.Attrs().Index, netlink.FAMILY_V6)
			must(t, err)
			for _, n := range list {
				if bytes.Equal(n.HardwareAddr, l.bridge.HardwareAddr) {
					t.Errorf("a neighbour learned %v from a probe", n.IP)
				}
			}
			addresses, err := netlink.AddrList(eth0, netlink.FAMILY_V6)
			must(t, err)
			for _, a := range addresses {
				if a.Flags&unix.IFA_F_DADFAILED != 0 {
					t.Errorf("a probe made %v a duplicate", a.IP)
				}
			}
		})
	}
}

// What is malformed, or about another address, is no answer.
func TestProbeIgnoresForgedAdvertisements(t *testing.T) {
	l := newLAN(t)
	hostile := l.add(t)
	other, to, err := advertisement(hostile.mac, netip.MustParseAddr("2001:db8::8"), true)
	must(t, err)
	wrongSum, _, err := advertisement(hostile.mac, vip6, true)
	must(t, err)
	wrongSum[headerLen6+2]++
	far, _, err := advertisement(hostile.mac, vip6, true)
	must(t, err)
	far[hopLimitOffset6] = 64
	var conn *packet.Conn
	hostile.ns.Do(t, func() {
		port, err := Open("eth0")
		must(t, err)
		t.Cleanup(func() { _ = port.Close() })
		conn = port.(*packetPort).conn6
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, data := range [][]byte{other, wrongSum, far} {
			for range 20 {
				if err := send(conn, to, data); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	answers, err := Probe(t.Context(), "br0", vip6, 300*ms)
	<-done
	if err != nil || len(answers) != 0 {
		t.Errorf("answers %v, %v, want none", answers, err)
	}
}

// Without IPv6 on an interface its IPv4 addresses are announced all the same.
func TestPortOpensWithoutIPv6(t *testing.T) {
	l := newLAN(t)
	h := l.add(t, "192.0.2.9/24")
	h.ns.Do(t, func() {
		must(t, os.WriteFile("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", []byte("1"), 0))
		port, err := Open("eth0")
		must(t, err)
		must(t, port.Announce(RequestForm, netip.MustParseAddr("192.0.2.9")))
		must(t, port.Close())
	})
}

func TestAskByIPv6FromAnAddress(t *testing.T) {
	l := newLAN(t)
	owner := l.add(t)
	owner.hold(t, vip6)
	link, err := netlink.LinkByName("br0")
	must(t, err)
	own := netip.MustParseAddr("2001:db8::5")
	must(t, netlink.AddrAdd(link, &netlink.Addr{
		IPNet: &net.IPNet{IP: own.AsSlice(), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD,
	}))
	var answers []Answer
	eventually(t, "an answer for "+vip6.String(), func() bool {
		answers, err = Ask(t.Context(), Question{Interface: "br0", Address: vip6, Wait: 200 * ms, Count: 1, From: own})
		return err != nil || len(answers) > 0
	})
	if err != nil || len(answers) != 1 || !bytes.Equal(answers[0].MAC, owner.mac) {
		t.Errorf("answers %v, %v, want that of the owner", answers, err)
	}
}
