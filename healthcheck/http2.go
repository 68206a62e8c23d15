package healthcheck

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// http2Transport returns what speaks HTTP/2 and nothing else on connections made
// by connect, with small buffers: a server sends no more than that unasked.
func http2Transport(connect func(context.Context) (net.Conn, error)) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return connect(ctx) }
	return &http.Transport{
		Protocols: &protocols, DialContext: dial, DialTLSContext: dial,
		DisableCompression: true, MaxResponseHeaderBytes: readLimit,
		HTTP2: &http.HTTP2Config{MaxReceiveBufferPerConnection: readLimit, MaxReceiveBufferPerStream: readLimit},
	}
}

// http2Result translates the error of an HTTP/2 request.
func http2Result(ctx context.Context, err error) Result {
	var netErr net.Error
	const doing = "the answer"
	if ctx.Err() != nil {
		return talkResult(ctx.Err(), doing)
	}
	r := talkResult(err, doing)
	if r.Reason == ReasonError && !errors.As(err, &netErr) {
		r.Reason, r.Detail = ReasonMalformed, shorten(err.Error())
	}
	return r
}
