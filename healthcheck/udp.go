package healthcheck

import (
	"bytes"
	"context"
	"errors"
	"net"
	"time"
)

// UDP sends one datagram and passes when a reply comes from the server.
type UDP struct {
	// Send is the datagram; it may be empty.
	Send Hex `json:"send_hex,omitempty"`
	// Expect has to occur in the first 4 KiB of the first reply. Empty: any reply
	// will do.
	Expect Hex `json:"expect_hex,omitempty"`
	// SilencePasses lets the check pass when the timeout ends without a reply: it
	// then fails only by an ICMP error, such as of a port that is closed.
	SilencePasses bool `json:"silence_passes,omitempty"`
}

// datagramLimit bounds what is looked at of a UDP reply, in bytes.
const datagramLimit = 4 << 10

func (s UDP) checker() (Checker, error) {
	if len(s.Send) > 65507 {
		return nil, errors.New("send_hex is longer than a datagram can be")
	}
	return s.check, nil
}

func (s UDP) check(ctx context.Context, _ time.Time, t Target) Result {
	conn, end, err := openUDP(ctx, t)
	if err != nil {
		return connectResult(err)
	}
	defer end()
	if _, err := conn.Write(s.Send); err != nil {
		return datagramResult(err)
	}
	reply := make([]byte, datagramLimit)
	n, err := conn.Read(reply)
	switch {
	case err == nil && bytes.Contains(reply[:n], s.Expect):
		return Result{Outcome: Pass, Reason: ReasonAnswered}
	case err == nil:
		return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: "got " + quoted(reply[:n])}
	}
	r := datagramResult(err)
	// The end of the timeout is this check's answer; another end is none.
	if r.Reason == ReasonTimeout && s.SilencePasses && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return Result{Outcome: Pass, Reason: ReasonNotRefused}
	}
	return r
}

// openUDP returns a socket on which only the target's datagrams and the ICMP
// errors about them arrive, until ctx ends.
func openUDP(ctx context.Context, t Target) (net.Conn, func(), error) {
	d, err := dialer(t, func(uintptr) error { return nil })
	if err != nil {
		return nil, nil, err
	}
	if source, bound := d.LocalAddr.(*net.TCPAddr); bound {
		d.LocalAddr = &net.UDPAddr{IP: source.IP}
	}
	conn, err := d.DialContext(ctx, "udp", t.Address.String())
	if err != nil {
		return nil, nil, err
	}
	return conn, bound(ctx, conn), nil
}

// datagramResult translates the error of sending or receiving a datagram.
func datagramResult(err error) Result {
	r := connectResult(err)
	if r.Reason == ReasonTimeout {
		r.Detail = "no reply"
	}
	return r
}
