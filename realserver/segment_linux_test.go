package realserver

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
)

var (
	serverAddr = netip.MustParseAddr("192.0.2.11")
	askerAddr  = netip.MustParseAddr("192.0.2.2")
	vip        = netip.MustParseAddr("192.0.2.100")
)

// segment connects this namespace, by eth0 with serverAddr, to a namespace with
// an asker. It returns the asker's namespace.
func segment(t *testing.T) *testenv.Netns {
	t.Helper()
	far := testenv.NewNetns(t)
	// Link-local addresses would come at a time of their own.
	if err := netif.WriteSysctl("net/ipv6/conf/default/disable_ipv6", "1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(far.Fd())}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(pair) })
	bringUp(t, serverAddr)
	far.Do(t, func() { bringUp(t, askerAddr) })
	return far
}

func bringUp(t *testing.T, addr netip.Addr) {
	link, err := netlink.LinkByName("eth0")
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err == nil {
		err = netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(24, 32)}})
	}
	if err != nil {
		t.Errorf("setting up eth0 with %s: %v", addr, err)
	}
}

// arpFrame is what the asker hears: an ARP packet's operation and addresses.
type arpFrame struct {
	reply          bool
	sender, target netip.Addr
}

// asker hammers a segment with ARP requests for some addresses and keeps what
// it hears.
type asker struct {
	t     *testing.T
	vip   netip.Addr
	own   netip.Addr // of the real server, which answers for it
	conn  *packet.Conn
	mac   net.HardwareAddr
	frame func(from net.HardwareAddr, about netip.Addr) (to net.HardwareAddr, frame []byte)
	parse func(frame []byte) (arpFrame, bool)
	wait  sync.WaitGroup
	mu    sync.Mutex
	heard map[arpFrame]int // guarded by mu
	asked int              // guarded by mu
	news  chan struct{}    // something was heard or asked
}

// hammer asks for the VIP and the real server's own address in turn, without a
// pause, until the test ends.
func hammer(t *testing.T, far *testenv.Netns, vip, own netip.Addr) *asker {
	t.Helper()
	return begin(t, far, 0x0806, &asker{vip: vip, own: own, frame: arpRequest, parse: parseARP})
}

func begin(t *testing.T, far *testenv.Netns, protocol int, a *asker) *asker {
	t.Helper()
	a.t, a.heard, a.news = t, map[arpFrame]int{}, make(chan struct{}, 1)
	far.Do(t, func() {
		ifi, err := net.InterfaceByName("eth0")
		if err == nil {
			a.mac = ifi.HardwareAddr
			a.conn, err = packet.Listen(ifi, packet.Raw, protocol, nil)
		}
		if err != nil {
			t.Errorf("opening the asker's socket: %v", err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	ctx, cancel := context.WithCancel(t.Context())
	a.wait.Go(a.listen)
	a.wait.Go(func() { a.ask(ctx) })
	t.Cleanup(func() {
		cancel()
		_ = a.conn.Close()
		a.wait.Wait()
	})
	return a
}

func (a *asker) ask(ctx context.Context) {
	pace := time.NewTicker(100 * time.Microsecond)
	defer pace.Stop()
	for {
		for _, addr := range []netip.Addr{a.vip, a.own} {
			to, frame := a.frame(a.mac, addr)
			_, err := a.conn.WriteTo(frame, &packet.Addr{HardwareAddr: to})
			if ctx.Err() != nil {
				return
			}
			// The interface, or its peer, may be down.
			if err != nil && !errors.Is(err, syscall.ENETDOWN) && !errors.Is(err, syscall.ENOBUFS) {
				a.t.Errorf("asking for %s: %v", addr, err)
				return
			}
		}
		a.note(func() { a.asked++ })
		<-pace.C
	}
}

func arpRequest(from net.HardwareAddr, about netip.Addr) (net.HardwareAddr, []byte) {
	broadcast := net.HardwareAddr{255, 255, 255, 255, 255, 255}
	return broadcast, slices.Concat(broadcast, from, []byte{0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1},
		from, askerAddr.AsSlice(), make([]byte, 6), about.AsSlice())
}

func parseARP(frame []byte) (arpFrame, bool) {
	if len(frame) < 42 {
		return arpFrame{}, false
	}
	return arpFrame{reply: binary.BigEndian.Uint16(frame[20:]) == 2,
		sender: netip.AddrFrom4([4]byte(frame[28:32])), target: netip.AddrFrom4([4]byte(frame[38:42]))}, true
}

func (a *asker) listen() {
	buffer := make([]byte, 256)
	for {
		n, _, err := a.conn.ReadFrom(buffer)
		if errors.Is(err, syscall.ENETDOWN) {
			continue
		}
		if err != nil {
			return // closed
		}
		if f, ok := a.parse(buffer[:n]); ok {
			a.note(func() { a.heard[f]++ })
		}
	}
}

func (a *asker) note(change func()) {
	a.mu.Lock()
	change()
	a.mu.Unlock()
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// counts returns how often f was heard and how many rounds were asked.
func (a *asker) counts(match func(arpFrame) bool) (heard, asked int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for f, n := range a.heard {
		if match(f) {
			heard += n
		}
	}
	return heard, a.asked
}

func from(addr netip.Addr) func(arpFrame) bool {
	return func(f arpFrame) bool { return f.sender == addr }
}

// rounds waits until the asker has asked n more times, and has had an answer
// from the real server's own address after that: whatever was asked for the VIP
// before has been answered by then, or never will be.
func (a *asker) rounds(n int) {
	a.t.Helper()
	_, asked := a.counts(from(a.own))
	a.until("asking", func() bool { _, now := a.counts(from(a.own)); return now >= asked+n })
	answered, _ := a.counts(from(a.own))
	a.until("an answer for the real server's own address", func() bool { now, _ := a.counts(from(a.own)); return now > answered+1 })
}

func (a *asker) until(what string, ok func() bool) {
	a.t.Helper()
	bound := time.NewTimer(10 * time.Second)
	defer bound.Stop()
	for !ok() {
		select {
		case <-a.news:
		case <-bound.C:
			a.t.Fatalf("not within 10s: %s", what)
		}
	}
}

// expectSilence fails if the segment has heard the VIP from anybody.
func (a *asker) expectSilence(when string) {
	a.t.Helper()
	a.rounds(20)
	if n, asked := a.counts(from(a.vip)); n != 0 {
		a.t.Fatalf("%s: %d packets about %s after %d requests, want none", when, n, a.vip, asked)
	}
}

// sendFrom sends a datagram from the address src to dst.
func sendFrom(t *testing.T, src, dst netip.Addr) {
	t.Helper()
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(src, 0)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(dst, 9)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("x")); err != nil && err != syscall.ECONNREFUSED {
		t.Fatal(err)
	}
}
