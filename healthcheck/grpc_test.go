package healthcheck

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

// health serves the gRPC health protocol without TLS.
func health(t testing.TB, handler http.HandlerFunc) netip.AddrPort {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server.Config.Protocols = &protocols
	server.Start()
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

// replies answers with a body and, in the trailers, a gRPC status.
func replies(body, status string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = io.WriteString(w, body)
		if status != "" {
			w.Header().Set("Grpc-Status", status)
		}
	}
}

const serving = "\x00\x00\x00\x00\x02\x08\x01"

func TestGRPCAsksAsTheProtocolSays(t *testing.T) {
	var got string
	address := health(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %s %s %s %x", r.Proto, r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Te"), body)
		replies(serving, "0")(w, r)
	})
	want(t, probe(t, GRPC{Service: "abc"}, address, time.Second), Pass, ReasonAnswered, "SERVING")
	if want := "HTTP/2.0 POST /grpc.health.v1.Health/Check application/grpc trailers 00000000050a03616263"; got != want {
		t.Errorf("the server saw %s, want %s", got, want)
	}
	want(t, probe(t, GRPC{}, address, time.Second), Pass, ReasonAnswered, "SERVING")
	if want := "HTTP/2.0 POST /grpc.health.v1.Health/Check application/grpc trailers 0000000000"; got != want {
		t.Errorf("the server saw %s, want %s", got, want)
	}
}

func TestGRPCAnswers(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		reason  Reason
		detail  string
	}{
		{"not serving", replies("\x00\x00\x00\x00\x02\x08\x02", "0"), ReasonUnexpected, "NOT_SERVING"},
		{"default status", replies("\x00\x00\x00\x00\x00", "0"), ReasonUnexpected, "status of service 0"},
		{"unknown service", replies("", "5"), ReasonUnexpected, "does not know the service"},
		{"no health checks", replies("", "12"), ReasonUnexpected, "does not offer"},
		{"another status", replies("", "14"), ReasonUnexpected, "gRPC status 14"},
		{"no status", replies(serving, ""), ReasonMalformed, "no gRPC status"},
		{"no body", replies("", "0"), ReasonMalformed, "cut short"},
		{"cut short", replies(serving[:6], "0"), ReasonMalformed, "cut short"},
		{"compressed", replies("\x01\x00\x00\x00\x02\x08\x01", "0"), ReasonMalformed, "compressed"},
		{"malformed", replies("\x00\x00\x00\x00\x02\x08\xff", "0"), ReasonMalformed, "malformed"},
		{"not gRPC", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, ReasonMalformed, "not gRPC"},
		{"error page", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, ReasonStatus, "404"},
		{"flood", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, serving); err != nil {
					return
				}
			}
		}, ReasonTooLong, ""},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, ReasonTimeout, "the answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want(t, probe(t, GRPC{}, health(t, tt.handler), 500*time.Millisecond), Fail, tt.reason, tt.detail)
		})
	}
}

func TestGRPCSurvivesHostileServers(t *testing.T) {
	for _, spec := range []Spec{GRPC{}, GRPCS{TLS: TLS{SkipVerify: true}}} {
		for name, m := range map[string]manner{"silence": silent, "reset": resets, "half-closed": halfClosed, "flood": floods("", "a")} {
			got := probe(t, spec, hostile(t, m), short)
			if got.Outcome != Fail {
				t.Errorf("%T, %s: result = %+v, want a failure", spec, name, got)
			}
		}
		want(t, probe(t, spec, refusing(t), time.Second), Fail, ReasonRefused, "")
	}
}

func TestGRPCOverTLS(t *testing.T) {
	address, ca := secureWeb(t, true, replies(serving, "0"))
	want(t, probe(t, GRPCS{TLS: TLS{CA: ca}}, address, time.Second), Pass, ReasonAnswered, "SERVING")
	want(t, probe(t, GRPCS{}, address, time.Second), Fail, ReasonCertificate, "")
}

func FuzzHealth(f *testing.F) {
	f.Add([]byte(serving))
	f.Add([]byte("\x00\x00\x00\x00\x0a\x12\x02ab\x09xxxxxxxx"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := parseHealth(body); err == nil && len(body) < 5 {
			t.Errorf("%x has no frame and no error", body)
		}
	})
}
