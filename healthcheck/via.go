package healthcheck

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// explainWithin bounds the second look at a server that does not answer through
// the forwarding path. It is less than abandonAfter.
const explainWithin = 200 * time.Millisecond

// throughVIP is check for targets with a Mark. Where a server fails, it looks at
// the server's own address too: one that answers there lacks the virtual address,
// or the way to it is broken.
func throughVIP(check Checker) Checker {
	return func(ctx context.Context, now time.Time, t Target) Result {
		r := check(ctx, now, t)
		switch r.Reason {
		case ReasonTimeout, ReasonRefused, ReasonUnreachable, ReasonReset, ReasonClosed:
		default:
			return r
		}
		direct := t
		direct.Address, direct.Mark = t.Real, 0
		second, cancel := context.WithTimeout(context.WithoutCancel(ctx), explainWithin)
		defer cancel()
		if context.Cause(ctx) == context.Canceled || check(second, now, direct).Outcome != Pass {
			return r
		}
		r.Reason, r.Detail = ReasonVIP, fmt.Sprintf(
			"%s for %s, while %s answers for itself: look for the address on its loopback, its tunnel, or its way back (haldir realserver verify)",
			r.Reason, t.Address, t.Real)
		return r
	}
}

// dialer returns what connects to the target. The packets of a target with a Mark
// carry it, and come from the host's own address on the way to the real server: a
// connection to an address that this host has itself would begin from that one.
func dialer(t Target, more func(socket uintptr) error) (*net.Dialer, error) {
	d := &net.Dialer{KeepAlive: -1}
	if t.Mark != 0 {
		source, err := sourceTo(t.Real)
		if err != nil {
			return nil, err
		}
		d.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
	}
	d.Control = func(_, _ string, raw syscall.RawConn) error {
		var failed error
		if err := raw.Control(func(socket uintptr) {
			if t.Mark != 0 {
				failed = markSocket(socket, t.Mark)
			}
			failed = cmp.Or(failed, more(socket))
		}); err != nil {
			return err
		}
		return failed
	}
	return d, nil
}

// sourceTo returns the address that this host has on its way to another; nothing
// is sent.
func sourceTo(to netip.AddrPort) (netip.Addr, error) {
	conn, err := net.Dial("udp", to.String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}
