package healthcheck

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// peer is a server that passes a check.
type peer struct {
	name    string
	spec    Spec
	address netip.AddrPort
}

// peers starts a server for each checker that talks over TCP.
func peers(t *testing.T) []peer {
	now := time.Now()
	server, _ := certificate(t, now.Add(-time.Hour), now.Add(time.Hour))
	plain := web(t, func(http.ResponseWriter, *http.Request) {})
	secure, ca := secureWeb(t, true, func(http.ResponseWriter, *http.Request) {})
	grpcSecure, grpcCA := secureWeb(t, true, replies(serving, "0"))
	return []peer{
		{"http", HTTP{}, plain},
		{"https", HTTPS{TLS: TLS{CA: ca}}, secure},
		{"https by HTTP/2", HTTPS{TLS: TLS{CA: ca}, HTTP2: true}, secure},
		{"tls", TLSHandshake{TLS: TLS{SkipVerify: true}}, serveTLS(t, &tls.Config{Certificates: []tls.Certificate{server}})},
		{"grpc", GRPC{}, health(t, replies(serving, "0"))},
		{"grpcs", GRPCS{TLS: TLS{CA: grpcCA}}, grpcSecure},
		{"mysql", MySQL{}, hostile(t, says(mysqlGreeting+"\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00"))},
		{"postgresql", PostgreSQL{}, hostile(t, says("R\x00\x00\x00\x08\x00\x00\x00\x00"))},
		{"smtp", SMTP{}, hostile(t, says("220 mx\r\n250 mx\r\n221 bye\r\n"))},
		{"redis", Redis{}, hostile(t, saysThenCloses("+PONG\r\n"))},
		{"tcp", TCP{Expect: Hex("x")}, hostile(t, says("x"))},
	}
}

// TestNoCheckerLeavesAnythingBehind makes checks that pass, and others that are
// ended half way.
func TestNoCheckerLeavesAnythingBehind(t *testing.T) {
	testenv.Root(t)
	mute := hostile(t, silent)
	for _, p := range peers(t) {
		t.Run(p.name, func(t *testing.T) {
			check, err := p.spec.checker()
			if err != nil {
				t.Fatal(err)
			}
			once := func(address netip.AddrPort, timeout time.Duration) Result {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				return check(ctx, time.Now(), Target{Address: address, Timeout: timeout})
			}
			want(t, once(p.address, 5*time.Second), Pass, once(p.address, 5*time.Second).Reason, "")
			before, open, waiting := goleak.IgnoreCurrent(), descriptors(t), timeWait(t)
			for range 20 {
				if got := once(p.address, 5*time.Second); got.Outcome != Pass {
					t.Fatalf("result = %+v, want a pass", got)
				}
				want(t, once(mute, 3*time.Millisecond), Fail, ReasonTimeout, "")
			}
			if n := timeWait(t); n > waiting {
				t.Errorf("%d sockets are in TIME_WAIT, %d were before", n, waiting)
			}
			// What is left of the servers' own ends goes by itself.
			goleak.VerifyNone(t, before)
			if now := descriptors(t); now > open {
				t.Errorf("%d descriptors are open, %d were before", now, open)
			}
		})
	}
}

// TestDatagramChecksLeaveNothingBehind has servers that answer and others that
// do not.
func TestDatagramChecksLeaveNothingBehind(t *testing.T) {
	echo, quiet := answer(t, func(b []byte) [][]byte { return [][]byte{b} }), answer(t, mute)
	before, open := goleak.IgnoreCurrent(), descriptors(t)
	for range 20 {
		want(t, probe(t, UDP{Send: Hex("x")}, echo, 5*time.Second), Pass, ReasonAnswered, "")
		want(t, probe(t, UDP{Send: Hex("x")}, quiet, 3*time.Millisecond), Fail, ReasonTimeout, "")
		want(t, probe(t, DNS{}, quiet, 3*time.Millisecond), Fail, ReasonTimeout, "")
	}
	goleak.VerifyNone(t, before)
	if now := descriptors(t); now > open {
		t.Errorf("%d descriptors are open, %d were before", now, open)
	}
}
