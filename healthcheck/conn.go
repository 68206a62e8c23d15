package healthcheck

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// readLimit bounds what a checker takes from one server in one check, in bytes.
const readLimit = 64 << 10

// open connects to the target by TCP. Everything that is done with the
// connection ends when ctx does. end closes it with a reset, so that neither
// side keeps a TIME_WAIT entry for it.
func open(ctx context.Context, t Target) (conn *net.TCPConn, end func(), err error) {
	conn, err = dial(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	return conn, bound(ctx, conn), nil
}

// dial connects by TCP and arranges that closing resets.
func dial(ctx context.Context, t Target) (*net.TCPConn, error) {
	// Not Dialer.DialTCP: that binds before it connects, and so takes a local
	// port for itself rather than one for each server.
	d, err := dialer(t, resetOnClose)
	if err != nil {
		return nil, err
	}
	conn, err := d.DialContext(ctx, "tcp", t.Address.String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// bound ends all reading and writing on conn when ctx ends. end closes conn.
func bound(ctx context.Context, conn net.Conn) (end func()) {
	long := time.Unix(1, 0)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(long) })
	return func() {
		stop()
		_ = conn.Close()
	}
}

// talkResult translates the error of reading from or writing to a server that
// was reached. doing says what was waited for: "the banner".
func talkResult(err error, doing string) Result {
	var netErr net.Error
	if alert := tlsAlert(err); alert != "" {
		return Result{Outcome: Fail, Reason: ReasonTLS, Detail: alert}
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Result{Outcome: Fail, Reason: ReasonClosed, Detail: "waiting for " + doing}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Result{Outcome: Fail, Reason: ReasonReset, Detail: "waiting for " + doing}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		errors.As(err, &netErr) && netErr.Timeout():
		return Result{Outcome: Fail, Reason: ReasonTimeout, Detail: "connected, waiting for " + doing}
	case errors.Is(err, errTooLong):
		return Result{Outcome: Fail, Reason: ReasonTooLong, Detail: doing + " is longer than a check reads"}
	default:
		return Result{Outcome: Fail, Reason: ReasonError, Detail: shorten(doing + ": " + err.Error())}
	}
}

// errTooLong says that a server sent more than readLimit without an end.
var errTooLong = errors.New("reply too long")

// readUntil reads until what has come satisfies enough, and returns it. It
// fails with errTooLong where readLimit bytes do not.
func readUntil(r io.Reader, enough func([]byte) bool) ([]byte, error) {
	var got []byte
	buffer := make([]byte, 2048)
	for {
		n, err := r.Read(buffer)
		got = append(got, buffer[:n]...)
		switch {
		case n > 0 && enough(got):
			return got, nil
		case err != nil:
			return got, err
		case len(got) >= readLimit:
			return got, errTooLong
		}
	}
}

// contains returns whether what has come contains part, at a cost that grows
// with what is new, not with the square of the whole.
func contains(part []byte) func([]byte) bool {
	searched := 0
	return func(got []byte) bool {
		from := max(0, searched-len(part))
		searched = len(got)
		return bytes.Contains(got[from:], part)
	}
}
