package healthcheck

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// through makes one check of address with a mark, for a server that has real as
// its own.
func through(t *testing.T, kind string, address, real netip.AddrPort) Result {
	t.Helper()
	testenv.Root(t)
	target := Target{ID: "a", Type: kind, Address: address, Real: real, Mark: 0x48410001,
		Every: time.Second, Timeout: short, Rise: 1, Fall: 1}
	check, err := checkerCache{}.prepare(target)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextFor(t, target.Timeout)
	defer cancel()
	return check(ctx, time.Now(), target)
}

func TestAServerThatAnswersForItselfAloneIsNamed(t *testing.T) {
	answers := listen(t, discard)
	quiet := hostile(t, silent)
	want(t, through(t, "tcp", answers, answers), Pass, ReasonConnected, "")
	want(t, through(t, "tcp", refusing(t), answers), Fail, ReasonVIP, "connection refused for 127.0.0.1:")
	want(t, through(t, "tcp", refusing(t), refusing(t)), Fail, ReasonRefused, "")
	want(t, through(t, "redis", quiet, quiet), Fail, ReasonTimeout, "")
	want(t, through(t, "redis", quiet, hostile(t, says("+PONG\r\n"))), Fail, ReasonVIP, "timeout for")
	// A server that answers the wrong thing was reached.
	want(t, through(t, "redis", hostile(t, says("-LOADING\r\n")), hostile(t, says("+PONG\r\n"))), Fail, ReasonUnexpected, "LOADING")
}

func TestPacketsOfACheckThroughAPathAreMarked(t *testing.T) {
	testenv.Root(t)
	real := netip.MustParseAddrPort("127.0.0.1:9")
	target := Target{Address: listen(t, discard), Real: real, Mark: 0x48410001}
	conn, err := dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	mark := 0
	if err := raw.Control(func(s uintptr) { mark, err = unix.GetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_MARK) }); err != nil {
		t.Fatal(err)
	}
	if err != nil || mark != 0x48410001 {
		t.Errorf("mark %#x (%v), want 0x48410001", mark, err)
	}
	if source := conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr(); source != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("the connection begins from %s, want the address on the way to %s", source, real)
	}
}

func TestWhatCannotBeCheckedThroughAPathIsRefused(t *testing.T) {
	good := Target{ID: "a", Type: "tcp", Address: netip.MustParseAddrPort("192.0.2.100:80"), Real: netip.MustParseAddrPort("192.0.2.1:80"),
		Mark: 1, Every: time.Second, Timeout: time.Second, Rise: 1, Fall: 1}
	if err := good.Validate(); err != nil {
		t.Errorf("%+v: %v", good, err)
	}
	ping, nowhere := good, good
	ping.Type, nowhere.Real = "ping", netip.AddrPort{}
	for _, bad := range []Target{ping, nowhere} {
		if err := bad.Validate(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
