package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// listen serves each connection by serve until the test ends.
func listen(t testing.TB, serve func(*net.TCPConn)) netip.AddrPort {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.AcceptTCP()
			if err != nil {
				return
			}
			serve(conn)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func discard(conn *net.TCPConn) { _ = conn.Close() }

func checkOnce(t *testing.T, address netip.AddrPort, timeout time.Duration) (Result, time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	begun := time.Now()
	result := checkHandshake(ctx, time.Now(), Target{Address: address})
	return result, time.Since(begun)
}

func TestTCPPassesOnAHandshake(t *testing.T) {
	silent, err := net.Listen("tcp6", "[::1]:0") // the kernel accepts; nobody ever says a word
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	reset := func(conn *net.TCPConn) { _ = conn.SetLinger(0); _ = conn.Close() }
	tests := []struct {
		name    string
		address netip.AddrPort
	}{
		{"accept and close", listen(t, discard)},
		{"accept and reset", listen(t, reset)},
		{"silence over IPv6", netip.MustParseAddrPort(silent.Addr().String())},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 50 {
				got, _ := checkOnce(t, tt.address, 5*time.Second)
				if got.Outcome != Pass || got.Reason != ReasonConnected {
					t.Fatalf("result = %+v, want a pass", got)
				}
			}
		})
	}
}

func TestTCPRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddrPort(l.Addr().String())
	_ = l.Close()
	want := Result{Outcome: Fail, Reason: ReasonRefused}
	if got, _ := checkOnce(t, address, 5*time.Second); got != want {
		t.Errorf("result = %+v, want %+v", got, want)
	}
}

func TestEveryConnectErrorHasItsReason(t *testing.T) {
	tests := []struct {
		err  error
		want Result
	}{
		{syscall.ECONNREFUSED, Result{Outcome: Fail, Reason: ReasonRefused, Detail: ""}},
		{syscall.ECONNRESET, Result{Outcome: Pass, Reason: ReasonConnected, Detail: "then reset by the server"}},
		{syscall.EHOSTUNREACH, Result{Outcome: Fail, Reason: ReasonUnreachable, Detail: "no route to host"}},
		{syscall.ENETUNREACH, Result{Outcome: Fail, Reason: ReasonUnreachable, Detail: "network is unreachable"}},
		{syscall.EACCES, Result{Outcome: Fail, Reason: ReasonProhibited, Detail: "permission denied"}},
		{syscall.EPERM, Result{Outcome: Fail, Reason: ReasonProhibited, Detail: "operation not permitted"}},
		{syscall.ETIMEDOUT, Result{Outcome: Fail, Reason: ReasonTimeout, Detail: ""}},
		{context.DeadlineExceeded, Result{Outcome: Fail, Reason: ReasonTimeout, Detail: ""}},
		{os.ErrDeadlineExceeded, Result{Outcome: Fail, Reason: ReasonTimeout, Detail: ""}},
		{syscall.EADDRNOTAVAIL, Result{Outcome: Inconclusive, Reason: ReasonResources, Detail: syscall.EADDRNOTAVAIL.Error()}},
		{syscall.ENOBUFS, Result{Outcome: Inconclusive, Reason: ReasonResources, Detail: syscall.ENOBUFS.Error()}},
		{errors.New("something else"), Result{Outcome: Fail, Reason: ReasonError, Detail: "something else"}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.err), func(t *testing.T) {
			wrapped := fmt.Errorf("dial tcp: %w", tt.err)
			if tt.want.Reason == ReasonError {
				wrapped = tt.err
			}
			if got := connectResult(wrapped); got != tt.want {
				t.Errorf("result = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestTCPExpectsAReply(t *testing.T) {
	ping := TCP{Send: Hex("PING\r\n"), Expect: Hex("PONG")}
	tests := []struct {
		name    string
		manner  manner
		spec    TCP
		outcome Outcome
		reason  Reason
		detail  string
	}{
		{"reply", saysThenCloses("+PONG\r\n"), ping, Pass, ReasonAnswered, ""},
		{"reply in drips", drips("+PO" + "NG"), ping, Pass, ReasonAnswered, ""},
		{"banner", says("220 ready\r\n"), TCP{Expect: Hex("220 ")}, Pass, ReasonAnswered, ""},
		{"another reply", saysThenCloses("-ERR\r\n"), ping, Fail, ReasonUnexpected, `got "-ERR"`},
		{"another reply, then silence", says("-ERR\r\n"), ping, Fail, ReasonTimeout, `got "-ERR"`},
		{"nothing", halfClosed, ping, Fail, ReasonClosed, "waiting for the expected reply"},
		{"flood", floods("", "PON"), ping, Fail, ReasonTooLong, "longer than"},
		{"flood with a reply", floods("", "xPONG"), ping, Pass, ReasonAnswered, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want(t, probe(t, tt.spec, hostile(t, tt.manner), 500*time.Millisecond), tt.outcome, tt.reason, tt.detail)
		})
	}
	hostility(t, ping)
}
