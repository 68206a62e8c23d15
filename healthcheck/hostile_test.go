package healthcheck

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

// probe makes one check by spec and returns when that has ended, which has to
// be soon after timeout.
func probe(t testing.TB, spec Spec, address netip.AddrPort, timeout time.Duration) Result {
	t.Helper()
	check, err := spec.checker()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	begun := time.Now()
	result := check(ctx, begun, Target{Type: "test", Address: address, Timeout: timeout})
	if took := time.Since(begun); took > timeout+2*time.Second {
		t.Errorf("the check ended after %s, its timeout is %s", took, timeout)
	}
	return result
}

// want compares outcome, reason and the beginning of the detail.
func want(t *testing.T, got Result, outcome Outcome, reason Reason, detail string) {
	t.Helper()
	if got.Outcome != outcome || got.Reason != reason || !strings.Contains(got.Detail, detail) {
		t.Errorf("result = %+v, want outcome %d, reason %q, detail with %q", got, outcome, reason, detail)
	}
	if len(got.Detail) > 400 || strings.ContainsFunc(got.Detail, func(r rune) bool { return r < ' ' }) {
		t.Errorf("detail is too long or has control characters: %q", got.Detail)
	}
}

// A manner is how a hostile server treats a connection until the test ends.
type manner func(conn *net.TCPConn)

// until waits for the client to go away, so that the server holds the
// connection as long as the client does.
func until(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) }

func silent(conn *net.TCPConn) { until(conn) }

func halfClosed(conn *net.TCPConn) {
	_ = conn.CloseWrite()
	until(conn)
}

func resets(conn *net.TCPConn) {
	_, _ = conn.Read(make([]byte, 1))
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// says sends text and then nothing more.
func says(text string) manner {
	return func(conn *net.TCPConn) {
		_, _ = io.WriteString(conn, text)
		until(conn)
	}
}

// saysThenCloses sends text after the first bytes of the client, and closes.
func saysThenCloses(text string) manner {
	return func(conn *net.TCPConn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, text)
		_ = conn.CloseWrite()
		until(conn)
	}
}

// drips sends text a byte at a time, slowly.
func drips(text string) manner {
	return func(conn *net.TCPConn) {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for i := range len(text) {
			if _, err := conn.Write([]byte{text[i]}); err != nil {
				return
			}
			<-ticker.C
		}
		until(conn)
	}
}

// floods sends head and then body without an end.
func floods(head, body string) manner {
	return func(conn *net.TCPConn) {
		_, err := io.WriteString(conn, head)
		block := bytes.Repeat([]byte(body), 1+32<<10/len(body))
		for err == nil {
			_, err = conn.Write(block)
		}
	}
}

// hostile serves every connection in the given manner, several at a time.
func hostile(t testing.TB, m manner) netip.AddrPort {
	t.Helper()
	return listen(t, func(conn *net.TCPConn) {
		go func() {
			defer conn.Close()
			m(conn)
		}()
	})
}

const short = 150 * time.Millisecond

// hostility is what every checker that talks over TCP has to survive: the reason
// must not depend on the protocol.
func hostility(t *testing.T, spec Spec) {
	t.Helper()
	tests := []struct {
		name   string
		manner manner
		reason Reason
	}{
		{"silence", silent, ReasonTimeout},
		{"half-closed", halfClosed, ReasonClosed},
		{"drip", drips(strings.Repeat("\x00", 1000)), ""},
		{"flood", floods("", "\x00"), ""},
		{"flood of text", floods("", "a"), ""},
		{"flood of lines", floods("", "220-a\r\n"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := hostile(t, tt.manner)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := probe(t, spec, address, short)
			runtime.ReadMemStats(&after)
			// All that was ever allocated, the test's server included.
			if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
				t.Errorf("the check took %d bytes of memory", used)
			}
			if got.Outcome != Fail || tt.reason != "" && got.Reason != tt.reason || got.Reason == ReasonError {
				t.Errorf("result = %+v, want a failure with reason %q", got, tt.reason)
			}
		})
	}
	t.Run("reset", func(t *testing.T) {
		got := probe(t, spec, hostile(t, resets), short)
		if got.Outcome != Fail || got.Reason == ReasonError {
			t.Errorf("result = %+v, want a failure", got)
		}
	})
	t.Run("refused", func(t *testing.T) {
		want(t, probe(t, spec, refusing(t), time.Second), Fail, ReasonRefused, "")
	})
}

// refusing returns an address where nothing listens.
func refusing(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

func contextFor(t *testing.T, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), timeout)
}
