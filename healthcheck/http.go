package healthcheck

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// HTTP passes when the server answers one HTTP/1.1 request as expected. It
// follows no redirect and goes through no proxy.
type HTTP struct {
	// Method defaults to GET.
	Method string `json:"method,omitempty"`
	// Path begins with "/" and may have a query; it defaults to "/".
	Path string `json:"path,omitempty"`
	// Host is the Host header; it defaults to the target's address and port.
	Host string `json:"host,omitempty"`
	// Headers are sent besides Host, User-Agent and what the body needs.
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	Expect  HTTPExpect        `json:"expect,omitzero"`
}

func (s HTTP) checker() (Checker, error) {
	p, err := s.probe("http")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, _ time.Time, t Target) Result {
		conn, end, err := open(ctx, t)
		if err != nil {
			return dialResult(err)
		}
		defer end()
		return p.exchange(ctx, conn, t)
	}, nil
}

// HTTPS is HTTP over TLS.
type HTTPS struct {
	HTTP
	TLS
	// HTTP2 asks for HTTP/2 and nothing else; without it, it is HTTP/1.1.
	HTTP2 bool `json:"http2,omitempty"`
}

func (s HTTPS) checker() (Checker, error) {
	p, err := s.probe("https")
	if err != nil {
		return nil, err
	}
	name, _, err := net.SplitHostPort(s.Host)
	if err != nil {
		name = s.Host
	}
	client, err := s.TLS.client(name, "http/1.1")
	if err != nil {
		return nil, err
	}
	if s.HTTP2 {
		client.config.NextProtos = []string{"h2"}
		return p.overHTTP2(client), nil
	}
	return func(ctx context.Context, now time.Time, t Target) Result {
		conn, end, err := open(ctx, t)
		if err != nil {
			return dialResult(err)
		}
		defer end()
		secure, err := client.handshake(ctx, conn, t)
		if err != nil {
			return handshakeResult(err)
		}
		return client.margins(now, secure.ConnectionState(), p.exchange(ctx, secure, t))
	}, nil
}

// httpProbe is what is made once from an HTTP Spec.
type httpProbe struct {
	request http.Request // without address, context and body
	body    string
	expect  *httpMatcher
}

func (s HTTP) probe(scheme string) (*httpProbe, error) {
	p := &httpProbe{body: s.Body}
	if s.Method == "" {
		s.Method = http.MethodGet
	}
	if !isToken(s.Method) || s.Method == http.MethodConnect {
		return nil, fmt.Errorf("method %q: not a method for a check", s.Method)
	}
	if s.Path == "" {
		s.Path = "/"
	}
	target, err := url.ParseRequestURI(s.Path)
	if err != nil || !strings.HasPrefix(s.Path, "/") || strings.Contains(s.Path, "#") {
		return nil, fmt.Errorf("path %q: not a path on a server", s.Path)
	}
	target.Scheme = scheme
	if strings.HasPrefix(s.Path, "//") { // which url takes for a host
		return nil, fmt.Errorf("path %q: begins with two slashes", s.Path)
	}
	if !isHost(s.Host) {
		return nil, fmt.Errorf("host %q: not a value for the Host header", s.Host)
	}
	header := http.Header{}
	for name, value := range s.Headers {
		if err := ValidHeader(name, value); err != nil {
			return nil, fmt.Errorf("headers: %w", err)
		}
		if name = http.CanonicalHeaderKey(name); len(header[name]) > 0 {
			return nil, fmt.Errorf("headers: %s is there twice", name)
		}
		header.Set(name, value)
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "haldir")
	}
	if p.expect, err = s.Expect.matcher(s.Method); err != nil {
		return nil, fmt.Errorf("expect: %w", err)
	}
	p.request = http.Request{
		Method: s.Method, URL: target, Host: s.Host, Header: header, Close: true,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return p, nil
}

// ValidHeader returns what is wrong with a header that a check is to send, if
// anything.
func ValidHeader(name, value string) error {
	switch {
	case !isToken(name):
		return fmt.Errorf("%q is not a header name", name)
	case !isFieldValue(value):
		return fmt.Errorf("%s: the value %q has characters that a header cannot have", name, shorten(value))
	}
	switch http.CanonicalHeaderKey(name) {
	case "Host":
		return errors.New("the Host header is the option host")
	case "Content-Length", "Transfer-Encoding", "Connection", "Trailer":
		return fmt.Errorf("%s is set by the check itself", http.CanonicalHeaderKey(name))
	}
	return nil
}

func (p *httpProbe) newRequest(ctx context.Context, t Target) *http.Request {
	request := p.request.Clone(ctx)
	request.URL.Host = t.Address.String()
	if p.body != "" {
		request.Body = io.NopCloser(strings.NewReader(p.body))
		request.ContentLength = int64(len(p.body))
	}
	return request
}

// interimLimit bounds the 1xx answers before the final one.
const interimLimit = 5

// exchange makes the request by HTTP/1.1 on conn and judges the answer.
func (p *httpProbe) exchange(ctx context.Context, conn io.ReadWriter, t Target) Result {
	request := p.newRequest(ctx, t)
	if err := request.Write(conn); err != nil {
		return talkResult(err, "the request to be taken")
	}
	const doing = "the answer"
	limit := &limitedReader{from: conn}
	reader := bufio.NewReaderSize(limit, 4096)
	for range interimLimit {
		limit.left = readLimit
		response, err := http.ReadResponse(reader, request)
		switch {
		case err != nil && (limit.err != nil || errors.Is(err, io.ErrUnexpectedEOF) && limit.taken == 0):
			return talkResult(errors.Join(limit.err, err), doing)
		case err != nil:
			return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: shorten(err.Error())}
		case response.StatusCode == http.StatusSwitchingProtocols || response.StatusCode >= 200:
			limit.left = bodyFraming * readLimit
			return p.expect.judge(response)
		}
	}
	return Result{Outcome: Fail, Reason: ReasonTooLong, Detail: fmt.Sprintf("%d interim answers and no final one", interimLimit)}
}

// bodyFraming is how many times readLimit a body may take on the wire, where
// each chunk of it has a header.
const bodyFraming = 8

// limitedReader fails with errTooLong once left bytes were read, and remembers
// the error that ended the reading.
type limitedReader struct {
	from  io.Reader
	left  int
	taken int
	err   error // but for io.EOF
}

func (l *limitedReader) Read(b []byte) (int, error) {
	if l.left <= 0 {
		l.err = errTooLong
		return 0, errTooLong
	}
	n, err := l.from.Read(b[:min(len(b), l.left)])
	l.left -= n
	l.taken += n
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = err
	}
	return n, err
}

// overHTTP2 returns the check by HTTP/2 on connections of client.
func (p *httpProbe) overHTTP2(client *tlsClient) Checker {
	return func(ctx context.Context, now time.Time, t Target) Result {
		var state tls.ConnectionState
		transport := http2Transport(func(ctx context.Context) (net.Conn, error) {
			secure, err := client.dial(ctx, t)
			if err != nil {
				return nil, err
			}
			state = secure.ConnectionState()
			return secure, nil
		})
		conn, err := transport.NewClientConn(ctx, "https", t.Address.String())
		if err != nil {
			return handshakeResult(err)
		}
		defer conn.Close()
		response, err := conn.RoundTrip(p.newRequest(ctx, t))
		if err != nil {
			return http2Result(ctx, err)
		}
		defer response.Body.Close()
		return client.margins(now, state, p.expect.judge(response))
	}
}
