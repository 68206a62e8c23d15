package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/internal/control"
)

func get(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestHandler(t *testing.T) {
	h := Handler(func(context.Context) (control.Status, error) { return *full(), nil })
	if w := get(h, "GET", "/metrics"); w.Code != http.StatusOK || w.Header().Get("Content-Type") != ContentType || !strings.Contains(w.Body.String(), "\nhaldir_problems 2\n") {
		t.Errorf("/metrics: %d %v", w.Code, w.Header())
	}
	var s control.Status
	if w := get(h, "GET", "/status"); w.Code != http.StatusOK || json.Unmarshal(w.Body.Bytes(), &s) != nil || s.Node != "lvs1" {
		t.Errorf("/status: %d %.100s", w.Code, w.Body)
	}
	if w := get(h, "GET", "/"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "/metrics") {
		t.Errorf("/: %d %s", w.Code, w.Body)
	}
	// It is read only.
	for _, path := range []string{"/metrics", "/status", "/v1/reload", "/v1/failover"} {
		if w := get(h, "POST", path); w.Code == http.StatusOK {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
	broken := Handler(func(context.Context) (control.Status, error) { return control.Status{}, errors.New("no such truth") })
	if w := get(broken, "GET", "/metrics"); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "no such truth") {
		t.Errorf("without a status: %d %s", w.Code, w.Body)
	}
}

func TestRequestsAtOnceAreBounded(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	h := Handler(func(context.Context) (control.Status, error) {
		entered <- struct{}{}
		<-release
		return control.Status{}, nil
	})
	codes := make(chan int)
	for range atOnce {
		go func() { codes <- get(h, "GET", "/metrics").Code }()
		<-entered
	}
	if w := get(h, "GET", "/status"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one more: %d, want %d", w.Code, http.StatusServiceUnavailable)
	}
	close(release)
	for range atOnce {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("one that was let in: %d", code)
		}
	}
}
