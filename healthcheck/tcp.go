package healthcheck

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// TCP passes when the server completes the TCP handshake. With Expect it also
// has to say something.
type TCP struct {
	// Send is sent once the connection stands.
	Send Hex `json:"send_hex,omitempty"`
	// Expect has to occur in the first 64 KiB that the server sends. Empty:
	// nothing is waited for.
	Expect Hex `json:"expect_hex,omitempty"`
}

func (s TCP) checker() (Checker, error) {
	switch {
	case len(s.Expect) == 0 && len(s.Send) == 0:
		return checkHandshake, nil
	case len(s.Expect) == 0:
		return nil, errors.New("send_hex without expect_hex: the reply would not be looked at")
	}
	return s.check, nil
}

// checkHandshake is the check of nothing but the connection.
//
// The connection is closed with a reset, so that neither side keeps a
// TIME_WAIT entry for it.
func checkHandshake(ctx context.Context, _ time.Time, t Target) Result {
	conn, err := dial(ctx, t)
	if err != nil {
		return connectResult(err)
	}
	// There is nothing to flush: a failing close says nothing about the server.
	_ = conn.Close()
	return Result{Outcome: Pass, Reason: ReasonConnected}
}

func (s TCP) check(ctx context.Context, _ time.Time, t Target) Result {
	conn, end, err := open(ctx, t)
	if err != nil {
		return dialResult(err)
	}
	defer end()
	const doing = "the expected reply"
	if _, err := conn.Write(s.Send); err != nil {
		return talkResult(err, doing)
	}
	got, err := readUntil(conn, contains(s.Expect))
	if err != nil {
		r := talkResult(err, doing)
		if len(got) > 0 {
			if r.Reason == ReasonClosed {
				r.Reason = ReasonUnexpected
			}
			r.Detail += ", got " + quoted(got)
		}
		return r
	}
	return Result{Outcome: Pass, Reason: ReasonAnswered}
}

// dialResult is connectResult for checks that need more than a handshake.
func dialResult(err error) Result {
	if errors.Is(err, syscall.ECONNRESET) {
		return Result{Outcome: Fail, Reason: ReasonReset}
	}
	return connectResult(err)
}

// connectResult translates the error of a connection attempt.
func connectResult(err error) Result {
	var netErr net.Error
	switch {
	case errors.Is(err, errCannot):
		return Result{Outcome: Inconclusive, Reason: ReasonCannot, Detail: shorten(err.Error())}
	case errors.Is(err, syscall.ECONNRESET):
		// A reset after the handshake; one before it is ECONNREFUSED. Whether it
		// is seen here or after the close is chance, so both pass.
		return Result{Outcome: Pass, Reason: ReasonConnected, Detail: "then reset by the server"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return Result{Outcome: Fail, Reason: ReasonRefused}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return Result{Outcome: Fail, Reason: ReasonUnreachable, Detail: errnoText(err)}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return Result{Outcome: Fail, Reason: ReasonProhibited, Detail: errnoText(err)}
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS),
		errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EADDRNOTAVAIL):
		return Result{Outcome: Inconclusive, Reason: ReasonResources, Detail: errnoText(err)}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT),
		errors.As(err, &netErr) && netErr.Timeout():
		return Result{Outcome: Fail, Reason: ReasonTimeout}
	default:
		return Result{Outcome: Fail, Reason: ReasonError, Detail: err.Error()}
	}
}

// errnoText returns the system's own words, without the addresses that the
// target has anyway.
func errnoText(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
