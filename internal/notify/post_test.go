package notify

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPost(t *testing.T) {
	var received atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received.Store(r.Method + " " + r.Header.Get("Content-Type") + " " + string(body))
		switch r.URL.Path {
		case "/ok":
			w.WriteHeader(http.StatusAccepted)
		case "/moved":
			http.Redirect(w, r, "/ok", http.StatusTemporaryRedirect)
		case "/slow":
			<-r.Context().Done()
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	for path, want := range map[string]string{
		"/ok?token=secret": "", "/moved": "answered 307", "/broken": "answered 500", "/slow?token=secret": "deadline exceeded",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err := Post(ctx, server.URL+path, []byte(`{"a":1}`))
		cancel()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error says what is secret: %v", path, err)
		}
		if got, want := received.Load(), `POST application/json {"a":1}`; got != want {
			t.Errorf("%s: the server got %q, want %q", path, got, want)
		}
	}
	server.Close()
	if err := Post(t.Context(), server.URL+"/x?secret", nil); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %v", err)
	}
	if err := Post(t.Context(), "http://[::1]:namedport/secret", nil); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("no URL: %v", err)
	}
}

func TestOutputIsCutToALine(t *testing.T) {
	for output, want := range map[string]string{
		"": "", " a\nb": "a", "\x1b[31mred": ".[31mred", strings.Repeat("x", 300): strings.Repeat("x", 200) + "…", "\xff": "\ufffd",
	} {
		if got := firstLine([]byte(output)); got != want {
			t.Errorf("%q becomes %q, want %q", output, got, want)
		}
	}
}
