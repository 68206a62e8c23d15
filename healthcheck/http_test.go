package healthcheck

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// web serves by handler and returns its address.
func web(t testing.TB, handler http.HandlerFunc) netip.AddrPort {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

func TestHTTPSendsWhatItIsTold(t *testing.T) {
	type request struct{ line, host, header, agent, body string }
	var got request
	address := web(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = request{r.Method + " " + r.RequestURI + " " + r.Proto, r.Host, r.Header.Get("X-Key"), r.UserAgent(), string(body)}
	})
	spec := HTTP{Method: "POST", Path: "/a%2Fb?c=d", Host: "www.example", Headers: map[string]string{"X-Key": "v"}, Body: "question"}
	for range 2 { // one checker serves many checks
		want(t, probe(t, spec, address, time.Second), Pass, ReasonAnswered, "status 200")
		want := request{"POST /a%2Fb?c=d HTTP/1.1", "www.example", "v", "haldir", "question"}
		if got != want {
			t.Errorf("the server saw %+v, want %+v", got, want)
		}
	}
	want(t, probe(t, HTTP{}, address, time.Second), Pass, ReasonAnswered, "status 200")
	if want := (request{"GET / HTTP/1.1", address.String(), "", "haldir", ""}); got != want {
		t.Errorf("the server saw %+v, want %+v", got, want)
	}
}

func TestHTTPExpectations(t *testing.T) {
	followed := false
	address := web(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/loop":
			http.Redirect(w, r, "/loop2", http.StatusFound)
		case "/loop2":
			followed = true
		case "/sick":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.Header().Set("X-Role", "primary")
			fmt.Fprint(w, "all is well")
		}
	})
	status := func(text string) (r StatusRange) {
		if err := r.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	tests := []struct {
		name    string
		spec    HTTP
		outcome Outcome
		reason  Reason
		detail  string
	}{
		{"status", HTTP{}, Pass, ReasonAnswered, "status 200"},
		{"other status", HTTP{Path: "/sick"}, Fail, ReasonStatus, "status 503"},
		{"status wanted", HTTP{Path: "/sick", Expect: HTTPExpect{Status: []StatusRange{status("200"), status("500-599")}}}, Pass, ReasonAnswered, "status 503"},
		{"no redirect is followed", HTTP{Path: "/loop"}, Fail, ReasonStatus, "status 302 to /loop2"},
		{"body", HTTP{Expect: HTTPExpect{Body: "is well"}}, Pass, ReasonAnswered, ""},
		{"other body", HTTP{Expect: HTTPExpect{Body: "is ill"}}, Fail, ReasonBody, `not in 11 bytes: "all is well"`},
		{"body by regexp", HTTP{Expect: HTTPExpect{BodyRegexp: "^all .* well$"}}, Pass, ReasonAnswered, ""},
		{"other body by regexp", HTTP{Expect: HTTPExpect{BodyRegexp: "^well"}}, Fail, ReasonBody, ""},
		{"header", HTTP{Expect: HTTPExpect{Headers: map[string]string{"x-role": "primary"}}}, Pass, ReasonAnswered, ""},
		{"header with any value", HTTP{Expect: HTTPExpect{Headers: map[string]string{"X-Role": ""}}}, Pass, ReasonAnswered, ""},
		{"header with another value", HTTP{Expect: HTTPExpect{Headers: map[string]string{"X-Role": "replica"}}}, Fail, ReasonHeader, `X-Role: "primary"`},
		{"header missing", HTTP{Expect: HTTPExpect{Headers: map[string]string{"X-Other": ""}}}, Fail, ReasonHeader, "X-Other is missing"},
		{"head", HTTP{Method: "HEAD"}, Pass, ReasonAnswered, "status 200"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want(t, probe(t, tt.spec, address, time.Second), tt.outcome, tt.reason, tt.detail)
		})
	}
	if followed {
		t.Error("the redirect was followed")
	}
}

func TestHTTPSurvivesHostileServers(t *testing.T) {
	hostility(t, HTTP{})
	body := HTTP{Expect: HTTPExpect{Body: "needle"}}
	tests := []struct {
		name   string
		manner manner
		spec   HTTP
		reason Reason
		detail string
	}{
		{"not HTTP", saysThenCloses("SSH-2.0-OpenSSH\r\n"), HTTP{}, ReasonMalformed, "malformed HTTP"},
		{"truncated header", saysThenCloses("HTTP/1.1 200 OK\r\nX-A: b"), HTTP{}, ReasonMalformed, "EOF"},
		{"bad status", saysThenCloses("HTTP/1.1 2000 OK\r\n\r\n"), HTTP{}, ReasonMalformed, "status code"},
		{"header without an end", floods("HTTP/1.1 200 OK\r\nX-A: ", "a"), HTTP{}, ReasonTooLong, "longer than"},
		{"endless headers", floods("HTTP/1.1 200 OK\r\n", "X-A: b\r\n"), HTTP{}, ReasonTooLong, "longer than"},
		{"dripping header", drips("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 1000)), HTTP{}, ReasonTimeout, "the answer"},
		{"interim answers", floods("", "HTTP/1.1 100 Continue\r\n\r\n"), HTTP{}, ReasonTooLong, "interim"},
		{"endless body", floods("HTTP/1.1 200 OK\r\n\r\n", "hay"), body, ReasonBody, "not in the first 65536 bytes"},
		{"huge length", floods("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n", "hay"), body, ReasonBody, "not in the first"},
		{"endless tiny chunks", floods("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1;"+strings.Repeat("x", 60)+"\r\na\r\n"), body, "", ""},
		{"bad chunk", saysThenCloses("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), body, ReasonMalformed, ""},
		{"body cut short", saysThenCloses("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nneedle"), body, ReasonClosed, "end of the body"},
		{"dripping body", drips("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("a", 1000)), body, ReasonTimeout, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := probe(t, tt.spec, hostile(t, tt.manner), 500*time.Millisecond)
			if tt.reason == "" {
				if got.Outcome != Fail || got.Reason == ReasonTimeout {
					t.Errorf("result = %+v, want an early failure", got)
				}
				return
			}
			want(t, got, Fail, tt.reason, tt.detail)
		})
	}
}

func TestHTTPFindsTheBodyInTheFirstPartOfAnEndlessOne(t *testing.T) {
	address := hostile(t, floods("HTTP/1.1 200 OK\r\n\r\nneedle", "hay"))
	want(t, probe(t, HTTP{Expect: HTTPExpect{Body: "needle"}}, address, 2*time.Second), Pass, ReasonAnswered, "")
}

func TestHTTPIgnoresProxiesOfTheEnvironment(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://"+refusing(t).String())
	want(t, probe(t, HTTP{}, web(t, func(http.ResponseWriter, *http.Request) {}), time.Second), Pass, ReasonAnswered, "")
}

func TestHTTPRefusesOptionsThatCannotWork(t *testing.T) {
	tests := []struct {
		spec Spec
		want string
	}{
		{HTTP{Method: "GE T"}, "method"},
		{HTTP{Method: "CONNECT"}, "method"},
		{HTTP{Path: "x"}, "path"},
		{HTTP{Path: "//x"}, "path"},
		{HTTP{Path: "/a b\r\n"}, "path"},
		{HTTP{Host: "a b"}, "host"},
		{HTTP{Headers: map[string]string{"a b": ""}}, "header name"},
		{HTTP{Headers: map[string]string{"A": "b\r\nC: d"}}, "characters"},
		{HTTP{Headers: map[string]string{"host": "b"}}, "option host"},
		{HTTP{Headers: map[string]string{"content-length": "5"}}, "set by the check"},
		{HTTP{Expect: HTTPExpect{BodyRegexp: "("}}, "body_regexp"},
		{HTTP{Method: "HEAD", Expect: HTTPExpect{Body: "x"}}, "no body"},
		{HTTPS{TLS: TLS{MinVersion: "1.4"}}, "min_version"},
		{HTTPS{TLS: TLS{CA: "ca.pem"}}, "absolute"},
		{HTTPS{TLS: TLS{CA: "/ca.pem", SkipVerify: true}}, "skip_verify"},
	}
	for _, tt := range tests {
		if _, err := tt.spec.checker(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want one with %q", tt.spec, err, tt.want)
		}
	}
}

// secureWeb serves HTTPS, and returns the path of a file with its authority.
func secureWeb(t testing.TB, http2 bool, handler http.HandlerFunc) (netip.AddrPort, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = http2
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String()), authority(t, server.Certificate())
}

func authority(t testing.TB, certificate *x509.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHTTPSSpeaksTheVersionThatIsAskedFor(t *testing.T) {
	var proto, name string
	address, ca := secureWeb(t, true, func(w http.ResponseWriter, r *http.Request) {
		proto, name = r.Proto, r.TLS.ServerName
		fmt.Fprint(w, "well")
	})
	for _, http2 := range []bool{false, true} {
		spec := HTTPS{TLS: TLS{CA: ca}, HTTP2: http2}
		spec.Host, spec.Expect.Body = "example.com", "well" // which is in httptest's certificate
		want(t, probe(t, spec, address, time.Second), Pass, ReasonAnswered, "status 200")
		if want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2]; proto != want || name != "example.com" {
			t.Errorf("the server saw %s for %q, want %s for example.com", proto, name, want)
		}
	}
	plain, plainCA := secureWeb(t, false, func(http.ResponseWriter, *http.Request) {})
	want(t, probe(t, HTTPS{TLS: TLS{CA: plainCA}, HTTP2: true}, plain, time.Second), Fail, ReasonTLS, "protocol")
}

func TestHTTPSMargins(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		address, ca := secureWeb(t, true, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
		ever := Span(100 * 365 * 24 * time.Hour) // httptest's certificate ends in 2084
		want(t, probe(t, HTTPS{TLS: TLS{CA: ca, ExpiryWarning: ever}, HTTP2: http2}, address, time.Second), Pass, ReasonExpires, "at 2084-")
		want(t, probe(t, HTTPS{TLS: TLS{CA: ca, ExpiryFailure: ever}, HTTP2: http2}, address, time.Second), Fail, ReasonExpires, "at 2084-")
	}
}

func TestHTTPSSurvivesHostileServers(t *testing.T) {
	hostility(t, HTTPS{})
	hostility(t, HTTPS{HTTP2: true})
}

// TestHTTP2SurvivesHostileServers has servers that are hostile once TLS stands.
func TestHTTP2SurvivesHostileServers(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	server.Close()
	certificate := server.TLS.Certificates[0]
	const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	tests := []struct {
		name, head, body string
		reason           Reason
	}{
		{"silence", "", "", ReasonTimeout},
		{"settings alone", settings, "", ReasonTimeout},
		{"endless settings", settings, settings, ""},
		{"endless pings", settings, "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678", ""},
		{"not HTTP/2", "HTTP/1.1 200 OK\r\n\r\n", "", ""},
		{"huge frame", "\xff\xff\xff\x00\x00\x00\x00\x00\x01", "x", ""},
		{"endless header block", settings, "\x00\x00\x04\x09\x00\x00\x00\x00\x01abcd", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := hostile(t, func(conn *net.TCPConn) {
				secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}})
				go func() { _, _ = io.Copy(io.Discard, secure) }()
				_, err := io.WriteString(secure, tt.head)
				for err == nil && tt.body != "" {
					_, err = io.WriteString(secure, tt.body)
				}
				if err == nil {
					<-t.Context().Done()
				}
			})
			got := probe(t, HTTPS{TLS: TLS{SkipVerify: true}, HTTP2: true}, address, 300*time.Millisecond)
			if got.Outcome != Fail || tt.reason != "" && got.Reason != tt.reason {
				t.Errorf("result = %+v, want a failure with reason %q", got, tt.reason)
			}
		})
	}
}

func BenchmarkHTTP(b *testing.B) {
	address := listen(b, func(conn *net.TCPConn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_ = conn.Close()
	})
	check, err := HTTP{Expect: HTTPExpect{Body: "ok"}}.checker()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if r := check(b.Context(), time.Now(), Target{Address: address}); r.Outcome != Pass {
			b.Fatalf("result = %+v", r)
		}
	}
}
