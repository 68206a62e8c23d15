package control

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// routes lists the requests of the API.
func routes(backend Backend, log *slog.Logger) *http.ServeMux {
	mux := http.NewServeMux()
	bounded := func(pattern string, bound time.Duration, do func(context.Context, *http.Request) (any, error)) {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := do(r.Context(), r)
			answer(w, log, body, err)
		})
		timed := http.TimeoutHandler(handler, bound, `{"error":"the request took too long"}`)
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			// The answer may begin as late as the bound.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(bound + requestBound))
			timed.ServeHTTP(w, r)
		})
	}
	bounded("GET /"+Version+"/status", requestBound, func(ctx context.Context, _ *http.Request) (any, error) {
		return backend.Status(ctx)
	})
	bounded("POST /"+Version+"/reload", requestBound, func(ctx context.Context, _ *http.Request) (any, error) {
		return backend.Reload(ctx)
	})
	bounded("POST /"+Version+"/failover", HandoverBound, with(backend.Failover))
	bounded("POST /"+Version+"/maintenance", HandoverBound, with(backend.Maintenance))
	bounded("POST /"+Version+"/order", requestBound, with(backend.Order))
	bounded("POST /"+Version+"/zero", requestBound, with(backend.Zero))
	bounded("GET /"+Version+"/server", requestBound, func(ctx context.Context, r *http.Request) (any, error) {
		return backend.Server(ctx, r.FormValue("service"), r.FormValue("real"))
	})
	bounded("GET /"+Version+"/events", requestBound, func(ctx context.Context, r *http.Request) (any, error) {
		request, err := eventsRequest(r.URL.Query())
		if err != nil {
			return nil, err
		}
		return backend.Events(ctx, request)
	})
	bounded("GET /"+Version+"/checks", requestBound, func(ctx context.Context, r *http.Request) (any, error) {
		return backend.Checks(ctx, r.FormValue("real"))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, fmt.Sprintf("no such request: %s %s", r.Method, r.URL.Path))
	})
	return mux
}

// with decodes the body of a request for a method of the backend.
func with[Request, Result any](do func(context.Context, Request) (Result, error)) func(context.Context, *http.Request) (any, error) {
	return func(ctx context.Context, r *http.Request) (any, error) {
		var request Request
		decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxRequest))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return do(ctx, request)
	}
}
