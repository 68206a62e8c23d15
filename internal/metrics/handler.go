package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/haldir-lb/haldir/internal/control"
)

// atOnce is how many requests are answered at once; each reads the kernel.
const atOnce = 4

const index = "haldir\n\n/metrics  for Prometheus\n/status   the status in JSON\n"

// Handler answers GET /metrics and GET /status with what status returns. It changes
// nothing, and refuses what is more than atOnce requests.
func Handler(status func(context.Context) (control.Status, error)) http.Handler {
	slots := make(chan struct{}, atOnce)
	read := func(kind string, encode func(*bytes.Buffer, *control.Status) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			default:
				http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
				return
			}
			var body bytes.Buffer
			s, err := status(r.Context())
			if err == nil {
				err = encode(&body, &s)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(body.Bytes()) // a client may go away
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", read(ContentType, func(b *bytes.Buffer, s *control.Status) error { return Write(b, s) }))
	mux.HandleFunc("GET /status", read("application/json", func(b *bytes.Buffer, s *control.Status) error { return json.NewEncoder(b).Encode(s) }))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(index)) })
	return mux
}
