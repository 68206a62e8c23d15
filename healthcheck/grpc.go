package healthcheck

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// GRPC asks by the gRPC health checking protocol (grpc.health.v1, Check) over
// HTTP/2 without TLS, and passes on SERVING.
type GRPC struct {
	// Service is the name that is asked for; empty is the server as a whole.
	Service string `json:"service,omitempty"`
	// Host is the authority that is sent; it defaults to the target's address and
	// port.
	Host string `json:"host,omitempty"`
}

// GRPCS is GRPC over TLS.
type GRPCS struct {
	GRPC
	TLS
}

func (s GRPC) validate() error {
	switch {
	case !isHost(s.Host):
		return fmt.Errorf("host %q: not an authority", s.Host)
	case len(s.Service) > 1024:
		return errors.New("service is longer than 1024 bytes")
	}
	return nil
}

func (s GRPC) checker() (Checker, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	return func(ctx context.Context, _ time.Time, t Target) Result {
		return s.check(ctx, t, "http", func(ctx context.Context) (net.Conn, error) { return dial(ctx, t) })
	}, nil
}

func (s GRPCS) checker() (Checker, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	name, _, err := net.SplitHostPort(s.Host)
	if err != nil {
		name = s.Host
	}
	client, err := s.TLS.client(name, "h2")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, now time.Time, t Target) Result {
		var state tls.ConnectionState
		r := s.check(ctx, t, "https", func(ctx context.Context) (net.Conn, error) {
			secure, err := client.dial(ctx, t)
			if err != nil {
				return nil, err
			}
			state = secure.ConnectionState()
			return secure, nil
		})
		return client.margins(now, state, r)
	}, nil
}

func (s GRPC) check(ctx context.Context, t Target, scheme string, connect func(context.Context) (net.Conn, error)) Result {
	conn, err := http2Transport(connect).NewClientConn(ctx, scheme, t.Address.String())
	if err != nil {
		return handshakeResult(err)
	}
	defer conn.Close()
	request := (&http.Request{
		Method: http.MethodPost, Host: cmp.Or(s.Host, t.Address.String()),
		URL:    &url.URL{Scheme: scheme, Host: t.Address.String(), Path: "/grpc.health.v1.Health/Check"},
		Header: http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "User-Agent": {"haldir"}},
		Body:   io.NopCloser(strings.NewReader(string(healthRequest(s.Service)))),
	}).WithContext(ctx)
	response, err := conn.RoundTrip(request)
	if err != nil {
		return http2Result(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Result{Outcome: Fail, Reason: ReasonStatus, Detail: fmt.Sprintf("status %d", response.StatusCode)}
	}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "application/grpc") {
		return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "not gRPC"}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, readLimit))
	switch {
	case err != nil && ctx.Err() != nil:
		return talkResult(ctx.Err(), "the answer")
	case err != nil:
		return bodyResult(err)
	case len(body) == readLimit:
		return talkResult(errTooLong, "the answer")
	}
	// An answer of headers alone has its status among them.
	return judgeHealth(body, cmp.Or(response.Trailer.Get("Grpc-Status"), response.Header.Get("Grpc-Status")),
		cmp.Or(response.Trailer.Get("Grpc-Message"), response.Header.Get("Grpc-Message")))
}

// healthRequest is a framed HealthCheckRequest: field 1 is the service.
func healthRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(service)))
		message = append(message, service...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// judgeHealth judges the body and the status of a gRPC answer.
func judgeHealth(body []byte, status, message string) Result {
	switch status {
	case "0":
	case "":
		return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "no gRPC status"}
	case "5":
		return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: "the server does not know the service"}
	case "12":
		return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: "the server does not offer health checks"}
	default:
		return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: shorten("gRPC status " + status + " " + message)}
	}
	serving, err := parseHealth(body)
	if err != nil {
		return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: err.Error()}
	}
	switch serving {
	case 1:
		return Result{Outcome: Pass, Reason: ReasonAnswered, Detail: "SERVING"}
	case 2:
		return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: "NOT_SERVING"}
	case 3:
		return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: "SERVICE_UNKNOWN"}
	}
	return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: fmt.Sprintf("status of service %d", serving)}
}

// parseHealth reads a framed HealthCheckResponse: field 1 is the status.
func parseHealth(body []byte) (serving uint64, err error) {
	switch {
	case len(body) < 5 || uint64(len(body)-5) < uint64(binary.BigEndian.Uint32(body[1:5])):
		return 0, errors.New("the message is cut short")
	case body[0] != 0:
		return 0, errors.New("the message is compressed, which was not asked for")
	}
	message := body[5 : 5+binary.BigEndian.Uint32(body[1:5])]
	number := func() uint64 {
		v, n := binary.Uvarint(message)
		if n <= 0 {
			err, message = errors.New("the message is malformed"), nil
			return 0
		}
		message = message[n:]
		return v
	}
	skip := func(n uint64) {
		if n > uint64(len(message)) {
			err, message = errors.New("the message is malformed"), nil
			return
		}
		message = message[n:]
	}
	for len(message) > 0 && err == nil {
		tag := number()
		switch {
		case err != nil:
		case tag == 1<<3:
			serving = number()
		case tag&7 == 0:
			number()
		case tag&7 == 1:
			skip(8)
		case tag&7 == 2:
			skip(number())
		case tag&7 == 5:
			skip(4)
		default:
			err = errors.New("the message is malformed")
		}
	}
	return serving, err
}
