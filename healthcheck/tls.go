package healthcheck

import (
	"context"
	"slices"
	"time"
)

// TLSHandshake is the type "tls": it passes when the server completes a TLS
// handshake with a certificate that suits.
type TLSHandshake struct {
	TLS
	// ALPN lists application protocols, the first preferred. The server has to
	// choose one of them. Empty: none is offered.
	ALPN []string `json:"alpn,omitempty"`
}

func (s TLSHandshake) checker() (Checker, error) {
	client, err := s.TLS.client("", s.ALPN...)
	if err != nil {
		return nil, err
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
		state := secure.ConnectionState()
		if len(s.ALPN) > 0 && !slices.Contains(s.ALPN, state.NegotiatedProtocol) {
			return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: "the server chose no application protocol"}
		}
		return client.margins(now, state, Result{Outcome: Pass, Reason: ReasonConnected})
	}, nil
}
