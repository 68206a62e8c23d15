package healthcheck

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"
)

// TLS is what checks ask of a TLS server. It is part of the Specs that use TLS.
type TLS struct {
	// SNI is the name that is asked for and that the certificate has to have. It
	// defaults to the check's host name, or else to the target's address, which
	// is not sent but has to be in the certificate.
	SNI string `json:"sni,omitempty"`
	// SkipVerify accepts any certificate.
	SkipVerify bool `json:"skip_verify,omitempty"`
	// CA is the absolute path of a PEM file with the authorities to trust, read
	// anew when it changes; empty is the system's.
	CA string `json:"ca,omitempty"`
	// Certificate and Key are the absolute paths of PEM files with what the check
	// shows to servers that ask for a certificate, read anew when they change.
	// Key defaults to Certificate; both empty is none.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	// MinVersion is "1.0", "1.1", "1.2" (the default) or "1.3".
	MinVersion string `json:"min_version,omitempty"`
	// ExpiryWarning and ExpiryFailure say how long before the end of its
	// certificate a server passes with a warning, or fails; 0 is never.
	ExpiryWarning Span `json:"expiry_warning,omitzero"`
	ExpiryFailure Span `json:"expiry_failure,omitzero"`
}

// TLSVersions returns the legal values of TLS.MinVersion, ascending.
func TLSVersions() []string { return []string{"1.0", "1.1", "1.2", "1.3"} }

// tlsClient is a TLS made ready.
type tlsClient struct {
	TLS
	name   string // empty: the target's address
	config *tls.Config
	roots  *caFile
}

// client makes ready what connects with the given application protocols. name is
// the default of SNI.
func (s TLS) client(name string, protocols ...string) (*tlsClient, error) {
	c := &tlsClient{TLS: s, name: cmp.Or(s.SNI, name), roots: &caFile{file: pemFile{path: s.CA}}}
	// VerifyConnection verifies in place of the library, which takes its
	// authorities once and for all.
	c.config = &tls.Config{InsecureSkipVerify: true, NextProtos: protocols, MinVersion: tls.VersionTLS12}
	switch s.MinVersion {
	case "", "1.2":
	case "1.3":
		c.config.MinVersion = tls.VersionTLS13
	case "1.0", "1.1":
		c.config.MinVersion = tls.VersionTLS10
		if s.MinVersion == "1.1" {
			c.config.MinVersion = tls.VersionTLS11
		}
		// Servers this old may offer nothing that the library thinks well of.
		for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			c.config.CipherSuites = append(c.config.CipherSuites, suite.ID)
		}
	default:
		return nil, fmt.Errorf("min_version %q: unknown (legal: %v)", s.MinVersion, TLSVersions())
	}
	switch {
	case s.SkipVerify && s.CA != "":
		return nil, errors.New("ca together with skip_verify: it would not be looked at")
	case s.CA != "" && !filepath.IsAbs(s.CA):
		return nil, fmt.Errorf("ca %q: not an absolute path", s.CA)
	case s.Certificate == "" && s.Key != "":
		return nil, errors.New("key without certificate")
	case s.Certificate != "" && !filepath.IsAbs(s.Certificate):
		return nil, fmt.Errorf("certificate %q: not an absolute path", s.Certificate)
	case s.Key != "" && !filepath.IsAbs(s.Key):
		return nil, fmt.Errorf("key %q: not an absolute path", s.Key)
	case s.ExpiryWarning < 0, s.ExpiryFailure < 0:
		return nil, errors.New("an expiry margin is negative")
	}
	if s.Certificate != "" {
		own := &ownCertificate{certificate: pemFile{path: s.Certificate}, key: pemFile{path: cmp.Or(s.Key, s.Certificate)}}
		c.config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own.pair() }
	}
	return c, nil
}

// handshake speaks TLS on conn, which stays the caller's to close.
func (c *tlsClient) handshake(ctx context.Context, conn net.Conn, t Target) (*tls.Conn, error) {
	config := c.config.Clone()
	config.ServerName = cmp.Or(c.name, t.Address.Addr().WithZone("").String())
	if !c.SkipVerify {
		config.VerifyConnection = func(state tls.ConnectionState) error { return c.verify(state, config.ServerName) }
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, nil
}

// dial connects and speaks TLS on the connection, which is closed with it.
func (c *tlsClient) dial(ctx context.Context, t Target) (*tls.Conn, error) {
	conn, err := dial(ctx, t)
	if err != nil {
		return nil, err
	}
	secure, err := c.handshake(ctx, conn, t)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

func (c *tlsClient) verify(state tls.ConnectionState, name string) error {
	roots, err := c.roots.pool()
	if err != nil {
		return err
	}
	options := x509.VerifyOptions{Roots: roots, DNSName: name, Intermediates: x509.NewCertPool()}
	for _, certificate := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(certificate)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return &certificateError{err}
	}
	return nil
}

// margins returns r, unless it is a pass and the certificate ends too soon.
func (c *tlsClient) margins(now time.Time, state tls.ConnectionState, r Result) Result {
	if r.Outcome != Pass || len(state.PeerCertificates) == 0 {
		return r
	}
	end := state.PeerCertificates[0].NotAfter
	left := end.Sub(now)
	detail := fmt.Sprintf("at %s, in %s", end.UTC().Format("2006-01-02 15:04 MST"), left.Round(time.Minute))
	if left < 0 {
		detail = fmt.Sprintf("it ended at %s", end.UTC().Format("2006-01-02 15:04 MST"))
	}
	switch {
	case c.ExpiryFailure > 0 && left < time.Duration(c.ExpiryFailure):
		return Result{Outcome: Fail, Reason: ReasonExpires, Detail: detail}
	case c.ExpiryWarning > 0 && left < time.Duration(c.ExpiryWarning):
		return Result{Outcome: Pass, Reason: ReasonExpires, Detail: detail, Warning: true}
	}
	return r
}

// certificateError says why a certificate is not accepted.
type certificateError struct{ err error }

func (e *certificateError) Error() string { return e.err.Error() }
func (e *certificateError) Unwrap() error { return e.err }

// handshakeResult translates the error of connecting to a TLS server.
func handshakeResult(err error) Result {
	var (
		certificate *certificateError
		header      tls.RecordHeaderError
		connect     *net.OpError
	)
	const doing = "the TLS handshake"
	switch {
	case errors.Is(err, errCannot):
		return Result{Outcome: Inconclusive, Reason: ReasonCannot, Detail: shorten(err.Error())}
	case errors.As(err, &certificate):
		return Result{Outcome: Fail, Reason: ReasonCertificate, Detail: shorten(certificate.Error())}
	case errors.As(err, &header):
		return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "not TLS"}
	case errors.As(err, &connect) && connect.Op == "dial":
		return dialResult(err)
	}
	r := talkResult(err, doing)
	if r.Reason == ReasonError {
		r = Result{Outcome: Fail, Reason: ReasonTLS, Detail: shorten(err.Error())}
	}
	return r
}

// tlsAlert returns what a server said before it ended TLS, or "".
func tlsAlert(err error) string {
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" {
		return ""
	}
	return shorten("the server: " + remote.Err.Error())
}

// errCannot marks errors of this host that say nothing about the server.
var errCannot = errors.New("check cannot be made")
