package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/control"
)

// The virtual router's MAC addresses and interfaces (RFC 9568, section 7.3).
var (
	vmac4 = net.HardwareAddr{0x00, 0x00, 0x5e, 0x00, 0x01, 51}
	vmac6 = net.HardwareAddr{0x00, 0x00, 0x5e, 0x00, 0x02, 51}
	vip6  = netip.MustParseAddr("2001:db8::100")
)

// vframe is a frame from a virtual MAC address that came into the switch.
type vframe struct {
	at       time.Time
	mac      string
	what     string
	announce bool // says who has an address, asked by nobody
	itself   bool // is sent to the same MAC address: an answer to another master
}

// tap notes what comes into the switch from the virtual MAC addresses by a port.
type tap struct {
	conn  *packet.Conn
	ended chan struct{}

	mu     sync.Mutex
	frames []vframe
}

func (p *pair) tap(n *Node) *tap {
	p.t.Helper()
	tp := &tap{ended: make(chan struct{})}
	p.must(p.Node(Switch).Do(func() error {
		ifi, err := net.InterfaceByName(n.Name)
		if err != nil {
			return err
		}
		// What the switch sends to the port is of no interest.
		incoming, err := bpf.Assemble([]bpf.Instruction{
			bpf.LoadExtension{Num: bpf.ExtType},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 1},
			bpf.RetConstant{Val: 2048},
			bpf.RetConstant{Val: 0},
		})
		if err != nil {
			return err
		}
		tp.conn, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, &packet.Config{Filter: incoming})
		return err
	}))
	go func() {
		defer close(tp.ended)
		var b [2048]byte
		for {
			n, _, err := tp.conn.ReadFrom(b[:])
			if err != nil {
				return
			}
			if f, ok := parseVirtual(b[:n]); ok {
				tp.mu.Lock()
				tp.frames = append(tp.frames, f)
				tp.mu.Unlock()
			}
		}
	}()
	p.t.Cleanup(func() { _ = tp.conn.Close(); <-tp.ended })
	return tp
}

func (tp *tap) take() []vframe {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	frames := tp.frames
	tp.frames = nil
	return frames
}

func parseVirtual(b []byte) (vframe, bool) {
	if len(b) < 42 || !bytes.Equal(b[6:12], vmac4) && !bytes.Equal(b[6:12], vmac6) {
		return vframe{}, false
	}
	f := vframe{at: time.Now(), mac: net.HardwareAddr(b[6:12]).String()}
	f.itself = bytes.Equal(b[:6], b[6:12])
	broadcast := b[0]&1 == 1
	switch kind := uint16(b[12])<<8 | uint16(b[13]); {
	case kind == unix.ETH_P_ARP:
		f.what, f.announce = fmt.Sprintf("ARP operation %d", b[21]), broadcast && b[21] == 2
	case kind == unix.ETH_P_IP:
		f.what = fmt.Sprintf("IPv4 protocol %d", b[23])
	case kind == unix.ETH_P_IPV6 && len(b) > 54 && b[20] == unix.IPPROTO_ICMPV6:
		f.what, f.announce = fmt.Sprintf("ICMPv6 type %d", b[54]), broadcast && b[54] == 136
	case kind == unix.ETH_P_IPV6:
		f.what = fmt.Sprintf("IPv6 next header %d", b[20])
	default:
		f.what = fmt.Sprintf("Ethernet type %04x", kind)
	}
	return f, true
}

// learned is the port where the switch has a MAC address.
func (p *pair) portOf(mac net.HardwareAddr) (string, error) {
	links := p.Node(Switch).ns.links
	entries, err := links.NeighList(0, unix.AF_BRIDGE)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if bytes.Equal(e.HardwareAddr, mac) && e.State&netlink.NUD_PERMANENT == 0 {
			link, err := links.LinkByIndex(e.LinkIndex)
			if err != nil {
				return "", err
			}
			return link.Attrs().Name, nil
		}
	}
	return "", nil
}

// learnt waits until the switch has both addresses where a node is.
func (p *pair) learnt(n *Node) {
	p.t.Helper()
	p.must(Await(bound(p.t, patience), "the switch to have the virtual MAC addresses at "+n.Name, func(context.Context) error {
		for _, mac := range []net.HardwareAddr{vmac4, vmac6} {
			if port, err := p.portOf(mac); err != nil || port != n.Name {
				return fmt.Errorf("%s is at %q: %w", mac, port, err)
			}
		}
		return nil
	}))
}

// neighbour is the MAC address that the router has for an address.
func (p *pair) neighbour(a netip.Addr) string {
	p.t.Helper()
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	entries, err := p.Node(Router).ns.links.NeighList(0, family)
	p.must(err)
	for _, e := range entries {
		if e.IP.Equal(a.AsSlice()) {
			return e.HardwareAddr.String()
		}
	}
	return ""
}

// TestVirtualMAC takes addresses of both families through many planned hand-overs,
// and a crash of everything.
func TestVirtualMAC(t *testing.T) {
	spec := DefaultSpec(ForwardNone)
	spec.Lab.VMAC, spec.Lab.Second = true, vip6.String()+"/64"
	p := newPair(t, spec)
	p.settled(p.d1, p.d2)
	p.learnt(p.d1)
	taps := map[*Node]*tap{p.d1: p.tap(p.d1), p.d2: p.tap(p.d2)}
	const handovers = 10
	from, to, late := p.d1, p.d2, time.Duration(0)
	for range handovers {
		taps[p.d1].take()
		taps[p.d2].take()
		result, err := p.api(from).Failover(bound(t, patience), control.FailoverRequest{})
		p.must(err)
		if !result.Done {
			t.Fatalf("the hand-over: %+v", result)
		}
		p.served(to.Name)
		p.settled(to, from)
		p.learnt(to)
		// What the one says after the other said that it has the addresses is over
		// before it lets go of them, and never an answer to the other.
		announced := map[string]time.Time{}
		for _, f := range taps[to].take() {
			if _, known := announced[f.mac]; !known && f.announce {
				announced[f.mac] = f.at
			}
			if strings.HasPrefix(f.what, "ARP operation 1") {
				t.Errorf("%s asks from the virtual MAC address", to.Name)
			}
		}
		if len(announced) != 2 {
			t.Errorf("announced by %s: %v, want both MAC addresses", to.Name, announced)
		}
		for _, f := range taps[from].take() {
			if at, ok := announced[f.mac]; ok && f.at.After(at) {
				late = max(late, f.at.Sub(at))
			}
			if f.itself {
				t.Errorf("%s of %s answers what %s sent from the same MAC address", f.what, from.Name, to.Name)
			}
		}
		if got := p.neighbour(spec.VIP()); got != vmac4.String() {
			t.Errorf("the router has %s at %s, want %s", spec.VIP(), got, vmac4)
		}
		from, to = to, from
	}
	t.Logf("the former master spoke from the virtual MAC addresses for up to %v after the new one had announced", late)
	for _, n := range []*Node{p.d1, p.d2} {
		for _, f := range taps[n].take() {
			if n == to {
				t.Errorf("%s from %s of %s, which is backup", f.what, f.mac, n.Name)
			}
		}
	}
	report, err := p.arp.Stop()
	p.must(err)
	for _, o := range report.Owners {
		if !bytes.Equal(o.MAC, vmac4) {
			t.Errorf("%s said to have the address, %d times in answers and %d times unasked; want %s alone", o.MAC, o.Answers, o.Gratuitous, vmac4)
		}
	}

	// All of a node dies; what its kernel has is taken away by the next start.
	p.mark("crash")
	p.must(from.Crash())
	p.state(to, "master")
	p.learnt(to)
	p.must(from.Reboot(bound(t, patience)))
	p.settled(p.d1, p.d2)
	p.learnt(p.d1)
	p.must(p.d2.StopDirector(bound(t, patience)))
	p.must(p.d1.StopDirector(bound(t, patience)))
	for _, n := range []*Node{p.d1, p.d2} {
		n.without(t)
	}
	reports := p.reports()
	for _, stream := range []string{"udp", "tcp"} {
		p.clean(p.report(reports, stream, "test"))
	}
}

// settled waits until one node is master with both interfaces up, and the other one
// backup with both down, and all is well.
func (p *pair) settled(master, backup *Node) {
	p.t.Helper()
	for n, want := range map[*Node]string{master: "master", backup: "backup"} {
		p.must(Await(bound(p.t, patience), n.Name+" to be "+want, func(ctx context.Context) error {
			status, err := n.Status(ctx)
			if err != nil {
				return err
			}
			var errs []error
			for i, r := range status.Routers {
				m := r.VirtualMAC
				mac := []net.HardwareAddr{vmac4, vmac6}[i].String()
				if r.State != want || m == nil || m.MAC != mac || m.Up == nil || *m.Up != (want == "master") {
					errs = append(errs, fmt.Errorf("%s: %s, virtual MAC %+v", r.Name, r.State, m))
				}
			}
			if len(status.Problems)+len(status.Unknown) > 0 {
				errs = append(errs, fmt.Errorf("problems %q, unknown %q", status.Problems, status.Unknown))
			}
			return errors.Join(errs...)
		}))
	}
}

// without checks that a node has none of what virtual MAC addresses need.
func (n *Node) without(t *testing.T) {
	t.Helper()
	links, err := n.ns.links.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Type() == "macvlan" {
			t.Errorf("%s still has %s", n.Name, l.Attrs().Name)
		}
	}
	if err := n.Do(func() error {
		for _, name := range []string{"arp_ignore", "arp_announce"} {
			value, err := os.ReadFile("/proc/sys/net/ipv4/conf/" + Interface + "/" + name)
			if err != nil {
				return err
			}
			if got := strings.TrimSpace(string(value)); got != "0" {
				t.Errorf("%s: %s is %s, want it as it was", n.Name, name, got)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
