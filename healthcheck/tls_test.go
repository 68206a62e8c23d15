package healthcheck

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certificate makes a self-signed one for names, an address among them.
func certificate(t testing.TB, from, to time.Time, names ...string) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, parsed
}

// serveTLS completes handshakes by config.
func serveTLS(t testing.TB, config *tls.Config) netip.AddrPort {
	return hostile(t, func(conn *net.TCPConn) {
		if secure := tls.Server(conn, config); secure.Handshake() == nil {
			until(conn)
		}
	})
}

func TestTLSCertificates(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	good, goodCA := certificate(t, now.Add(-day), now.Add(10*day), "a.example", "127.0.0.1")
	named, namedCA := certificate(t, now.Add(-day), now.Add(10*day), "a.example")
	ended, endedCA := certificate(t, now.Add(-2*day), now.Add(-day), "127.0.0.1")
	early, earlyCA := certificate(t, now.Add(day), now.Add(2*day), "127.0.0.1")
	tests := []struct {
		name    string
		server  tls.Certificate
		spec    TLSHandshake
		outcome Outcome
		reason  Reason
		detail  string
	}{
		{"its address", good, TLSHandshake{TLS: TLS{CA: authority(t, goodCA)}}, Pass, ReasonConnected, ""},
		{"its name", named, TLSHandshake{TLS: TLS{CA: authority(t, namedCA), SNI: "a.example"}}, Pass, ReasonConnected, ""},
		{"another name", named, TLSHandshake{TLS: TLS{CA: authority(t, namedCA), SNI: "b.example"}}, Fail, ReasonCertificate, "not b.example"},
		{"not its address", named, TLSHandshake{TLS: TLS{CA: authority(t, namedCA)}}, Fail, ReasonCertificate, "127.0.0.1"},
		{"unknown authority", good, TLSHandshake{TLS: TLS{CA: authority(t, namedCA)}}, Fail, ReasonCertificate, "unknown authority"},
		{"the system's authorities", good, TLSHandshake{}, Fail, ReasonCertificate, "unknown authority"},
		{"anything", ended, TLSHandshake{TLS: TLS{SkipVerify: true}}, Pass, ReasonConnected, ""},
		{"ended", ended, TLSHandshake{TLS: TLS{CA: authority(t, endedCA)}}, Fail, ReasonCertificate, "expired"},
		{"not yet valid", early, TLSHandshake{TLS: TLS{CA: authority(t, earlyCA)}}, Fail, ReasonCertificate, "not yet valid"},
		{"warning", good, TLSHandshake{TLS: TLS{CA: authority(t, goodCA), ExpiryWarning: Span(11 * day)}}, Pass, ReasonExpires, "in 2"},
		{"no warning yet", good, TLSHandshake{TLS: TLS{CA: authority(t, goodCA), ExpiryWarning: Span(9 * day)}}, Pass, ReasonConnected, ""},
		{"failure", good, TLSHandshake{TLS: TLS{CA: authority(t, goodCA), ExpiryWarning: Span(12 * day), ExpiryFailure: Span(11 * day)}}, Fail, ReasonExpires, "in 2"},
		{"ended, unverified, with a margin", ended, TLSHandshake{TLS: TLS{SkipVerify: true, ExpiryFailure: 1}}, Fail, ReasonExpires, "it ended at"},
		{"no authorities", good, TLSHandshake{TLS: TLS{CA: "/does/not/exist"}}, Inconclusive, ReasonCannot, "no such file"},
		{"authorities of another kind", good, TLSHandshake{TLS: TLS{CA: "/dev/zero"}}, Inconclusive, ReasonCannot, "not a file"},
		{"authorities without a certificate", good, TLSHandshake{TLS: TLS{CA: "/etc/passwd"}}, Inconclusive, ReasonCannot, "no certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{tt.server}})
			want(t, probe(t, tt.spec, address, time.Second), tt.outcome, tt.reason, tt.detail)
		})
	}
}

func TestTLSReadsItsAuthoritiesAnewWhenTheyChange(t *testing.T) {
	now := time.Now()
	server, ca := certificate(t, now.Add(-time.Hour), now.Add(time.Hour), "127.0.0.1")
	_, other := certificate(t, now.Add(-time.Hour), now.Add(2*time.Hour), "127.0.0.1")
	address := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{server}})
	path := authority(t, other)
	check, err := TLSHandshake{TLS: TLS{CA: path}}.checker()
	if err != nil {
		t.Fatal(err)
	}
	once := func() Result { return check(t.Context(), time.Now(), Target{Address: address}) }
	want(t, once(), Fail, ReasonCertificate, "unknown authority")
	text, err := os.ReadFile(authority(t, ca))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, now, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	want(t, once(), Pass, ReasonConnected, "")
}

func TestTLSShowsItsOwnCertificate(t *testing.T) {
	now := time.Now()
	server, ca := certificate(t, now.Add(-time.Hour), now.Add(time.Hour), "127.0.0.1")
	own, ownCA := certificate(t, now.Add(-time.Hour), now.Add(time.Hour), "check")
	foreign, _ := certificate(t, now.Add(-time.Hour), now.Add(time.Hour), "check")
	clients := x509.NewCertPool()
	clients.AddCert(ownCA)
	// The last word of a handshake of version 1.3 is the client's.
	address := serveTLS(t, &tls.Config{
		Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MaxVersion: tls.VersionTLS12,
	})
	folder := t.TempDir()
	pair := TLS{CA: authority(t, ca), Certificate: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem")}
	check, err := TLSHandshake{TLS: pair}.checker()
	if err != nil {
		t.Fatal(err)
	}
	once := func() Result { return check(t.Context(), time.Now(), Target{Address: address}) }
	want(t, once(), Inconclusive, ReasonCannot, "own certificate")
	writePair(t, folder, own)
	want(t, once(), Pass, ReasonConnected, "")
	writePair(t, folder, foreign)
	later := now.Add(time.Minute)
	for _, name := range []string{"cert.pem", "key.pem"} {
		if err := os.Chtimes(filepath.Join(folder, name), later, later); err != nil {
			t.Fatal(err)
		}
	}
	want(t, once(), Fail, ReasonTLS, "")
	if err := os.WriteFile(pair.Key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is not forgotten that it is wrong
		want(t, once(), Inconclusive, ReasonCannot, "with key")
	}
	want(t, probe(t, TLSHandshake{TLS: TLS{CA: pair.CA}}, address, time.Second), Fail, ReasonTLS, "the server")

	both := filepath.Join(folder, "both.pem")
	writePair(t, folder, own)
	var text []byte
	for _, name := range []string{"cert.pem", "key.pem"} {
		part, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, part...)
	}
	if err := os.WriteFile(both, text, 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, probe(t, TLSHandshake{TLS: TLS{CA: pair.CA, Certificate: both}}, address, time.Second), Pass, ReasonConnected, "")
	for _, bad := range []TLS{{Key: "/k"}, {Certificate: "c"}, {Certificate: "/c", Key: "k"}} {
		if err := Encode(TLSHandshake{TLS: bad}).Validate("tls"); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestHTTPSTellsThatItsCertificateIsMissing(t *testing.T) {
	now := time.Now()
	server, _ := certificate(t, now.Add(-time.Hour), now.Add(time.Hour), "127.0.0.1")
	address := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAnyClientCert})
	want(t, probe(t, HTTPS{TLS: TLS{SkipVerify: true}}, address, time.Second), Fail, ReasonTLS, "certificate required")
}

func TestTLSVersionsAndProtocols(t *testing.T) {
	now := time.Now()
	server, _ := certificate(t, now.Add(-time.Hour), now.Add(time.Hour), "127.0.0.1")
	tests := []struct {
		name   string
		server *tls.Config
		spec   TLSHandshake
		ok     bool
		reason Reason
		detail string
	}{
		{"old server", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, TLSHandshake{}, false, ReasonTLS, "version"},
		{"old server is good enough", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, TLSHandshake{TLS: TLS{MinVersion: "1.0"}}, true, ReasonConnected, ""},
		{"1.1 wanted, 1.0 there", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, TLSHandshake{TLS: TLS{MinVersion: "1.1"}}, false, ReasonTLS, "version"},
		{"1.3 wanted, 1.2 there", &tls.Config{MaxVersion: tls.VersionTLS12}, TLSHandshake{TLS: TLS{MinVersion: "1.3"}}, false, ReasonTLS, "version"},
		{"protocol", &tls.Config{NextProtos: []string{"h2"}}, TLSHandshake{ALPN: []string{"imap", "h2"}}, true, ReasonConnected, ""},
		{"no common protocol", &tls.Config{NextProtos: []string{"h2"}}, TLSHandshake{ALPN: []string{"imap"}}, false, ReasonTLS, "no application protocol"},
		{"no protocol at all", &tls.Config{}, TLSHandshake{ALPN: []string{"imap"}}, false, ReasonUnexpected, "no application protocol"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.server.Certificates = []tls.Certificate{server}
			tt.spec.SkipVerify = true
			outcome := map[bool]Outcome{true: Pass, false: Fail}[tt.ok]
			want(t, probe(t, tt.spec, serveTLS(t, tt.server), time.Second), outcome, tt.reason, tt.detail)
		})
	}
}

func TestTLSSurvivesHostileServers(t *testing.T) {
	hostility(t, TLSHandshake{})
	want(t, probe(t, TLSHandshake{}, hostile(t, saysThenCloses("220 mail.example ESMTP\r\n")), time.Second), Fail, ReasonMalformed, "not TLS")
	want(t, probe(t, TLSHandshake{}, hostile(t, floods("\x16\x03\x03\x40\x00\x02\xff\xff\xff", "x")), time.Second), Fail, ReasonTLS, "")
}

// writePair writes cert.pem and key.pem into folder.
func writePair(t *testing.T, folder string, pair tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
