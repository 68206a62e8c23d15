package healthcheck

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// segment makes a link whose far end exists and never answers for anything. It
// returns the MAC of the far end.
func segment(t *testing.T) (link netlink.Link, far net.HardwareAddr) {
	t.Helper()
	testenv.Root(t)
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "near"}, PeerName: "far"}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(pair) })
	peer, err := netlink.LinkByName("far")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []netlink.Link{pair, peer} {
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatal(err)
		}
	}
	addr, err := netlink.ParseAddr("198.51.100.1/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(pair, addr); err != nil {
		t.Fatal(err)
	}
	return pair, peer.Attrs().HardwareAddr
}

func TestTCPTimesOutAtAServerThatDropsEverything(t *testing.T) {
	link, far := segment(t)
	err := netlink.NeighAdd(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT,
		IP: net.IPv4(198, 51, 100, 2), HardwareAddr: far})
	if err != nil {
		t.Fatal(err)
	}
	const timeout = 100 * time.Millisecond
	want := Result{Outcome: Fail, Reason: ReasonTimeout}
	got, took := checkOnce(t, netip.MustParseAddrPort("198.51.100.2:80"), timeout)
	if got != want || took < timeout/2 || took > timeout+2*time.Second {
		t.Errorf("result = %+v after %s, want %+v after %s", got, took, want, timeout)
	}
}

func TestTCPUnreachableWhereNobodyAnswersARP(t *testing.T) {
	segment(t)
	if err := os.WriteFile("/proc/sys/net/ipv4/neigh/near/retrans_time_ms", []byte("20"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := Result{Outcome: Fail, Reason: ReasonUnreachable, Detail: "no route to host"}
	if got, _ := checkOnce(t, netip.MustParseAddrPort("198.51.100.3:80"), 30*time.Second); got != want {
		t.Errorf("result = %+v, want %+v", got, want)
	}
}

func TestTCPUnreachableWithoutARoute(t *testing.T) {
	segment(t) // in a namespace of its own: there is no default route
	want := Result{Outcome: Fail, Reason: ReasonUnreachable, Detail: "network is unreachable"}
	if got, _ := checkOnce(t, netip.MustParseAddrPort("203.0.113.1:80"), 30*time.Second); got != want {
		t.Errorf("result = %+v, want %+v", got, want)
	}
}

func TestTCPWithoutDescriptorsSaysNothingOfTheServer(t *testing.T) {
	address := listen(t, discard)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	got, _ := checkOnce(t, address, 5*time.Second)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	want := Result{Outcome: Inconclusive, Reason: ReasonResources, Detail: "too many open files"}
	if got != want {
		t.Errorf("result = %+v, want %+v", got, want)
	}
}

func TestChecksLeaveNothingBehind(t *testing.T) {
	testenv.Root(t) // for a network in which every socket is this test's
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	address := listen(t, func(conn *net.TCPConn) {
		// The check is the one that closes, as with a server that waits for a request.
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = conn.Read(make([]byte, 1))
		_ = conn.Close()
	})
	checkOnce(t, address, 5*time.Second)             // opens what the runtime keeps open
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close what was forgotten
	open, waiting := descriptors(t), timeWait(t)
	for range 300 {
		if got, _ := checkOnce(t, address, 5*time.Second); got.Outcome != Pass {
			t.Fatalf("result = %+v, want a pass", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		checkHandshake(ctx, time.Now(), Target{Address: address})
	}
	// The server's side of the last connection may be open still.
	if now := descriptors(t); now > open+1 {
		t.Errorf("%d descriptors are open, %d were before", now, open)
	}
	if n := timeWait(t); n > waiting {
		t.Errorf("%d sockets are in TIME_WAIT, %d were before", n, waiting)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// timeWait counts the IPv4 sockets of this namespace in that state.
func timeWait(t *testing.T) (count int) {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(table) {
		if fields := strings.Fields(string(line)); fields[3] == "06" {
			count++
		}
	}
	return count
}
