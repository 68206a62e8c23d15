package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// knock connects and writes without a word of HTTP being needed.
func knock(t *testing.T, path, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "broken pipe") {
		t.Fatal(err)
	}
	return conn
}

func TestStrangeClientsKeepNobodyWaiting(t *testing.T) {
	path, _ := serve(t, node("lvs1"))
	for name, text := range map[string]string{
		"silent":           "",
		"stops in a line":  "GET /v1/sta",
		"stops in headers": "GET /v1/status HTTP/1.1\r\nHost: haldir\r\n",
		"stops in a body":  "POST /v1/reload HTTP/1.1\r\nHost: haldir\r\nContent-Length: 1000000\r\n\r\nx",
		"garbage":          "\x00\xff\x16\x03\x01\r\n\r\n",
		"no HTTP":          "hello\r\n\r\n",
		"huge header":      "GET /v1/status HTTP/1.1\r\nHost: haldir\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n",
	} {
		for range 5 {
			knock(t, path, text)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if s, err := NewClient(path).Status(ctx); err != nil || s.Node != "lvs1" {
			t.Errorf("beside a client that is %s: Status = %v, %v", name, s.Node, err)
		}
		cancel()
	}
}

func TestClientsAreServedAtTheSameTime(t *testing.T) {
	const clients = 10
	var inside sync.WaitGroup
	inside.Add(clients)
	b := node("lvs1")
	b.status = func(context.Context) (Status, error) {
		inside.Done()
		inside.Wait() // for all the others
		return Status{}, nil
	}
	path, _ := serve(t, b)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if _, err := NewClient(path).Status(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestRequestOfAClientThatGoesAwayEnds(t *testing.T) {
	asked, over := make(chan struct{}), make(chan error, 1)
	b := node("lvs1")
	b.status = func(ctx context.Context) (Status, error) {
		close(asked)
		<-ctx.Done()
		over <- ctx.Err()
		return Status{}, ctx.Err()
	}
	path, _ := serve(t, b)
	conn := knock(t, path, "GET /v1/status HTTP/1.1\r\nHost: haldir\r\n\r\n")
	<-asked
	_ = conn.Close()
	select {
	case err := <-over:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the request ended with %v, want %v", err, context.Canceled)
		}
	case <-time.After(patience):
		t.Fatal("the request goes on")
	}
}

func TestBackendThatPanicsHarmsItsRequestAlone(t *testing.T) {
	b := node("lvs1")
	b.reload = func(context.Context) (ReloadResult, error) { panic("a bug") }
	path, _ := serve(t, b)
	if _, err := NewClient(path).Reload(t.Context()); err == nil {
		t.Error("a reload that panicked was answered")
	}
	if s, err := NewClient(path).Status(t.Context()); err != nil || s.Node != "lvs1" {
		t.Errorf("afterwards Status = %v, %v", s.Node, err)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	b := node("lvs1")
	b.status = func(context.Context) (Status, error) {
		close(asked)
		<-release
		return Status{Node: "in time"}, nil
	}
	path, stop := serve(t, b)
	knock(t, path, "GET /v1/sta") // one that never ends its request
	answer := make(chan string, 1)
	go func() {
		s, err := NewClient(path).Status(context.Background())
		answer <- fmt.Sprint(s.Node, err)
	}()
	<-asked
	ended := make(chan error)
	go func() { ended <- stop() }()
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if got, want := <-answer, "in time<nil>"; got != want {
		t.Errorf("a request in flight at the end: %s, want %s", got, want)
	}
	if _, err := NewClient(path).Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Status afterwards = %v, want %v", err, ErrNotRunning)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket file is still there (%v)", err)
	}
}

func TestServeReturnsTheErrorOfItsListener(t *testing.T) {
	broken := errors.New("broken")
	err := Serve(t.Context(), brokenListener{broken}, node("lvs1"), quiet())
	if !errors.Is(err, broken) {
		t.Errorf("Serve = %v, want %v", err, broken)
	}
}

type brokenListener struct{ err error }

func (l brokenListener) Accept() (net.Conn, error) { return nil, l.err }
func (l brokenListener) Close() error              { return nil }
func (l brokenListener) Addr() net.Addr            { return &net.UnixAddr{} }

// pipeListener hands out connections in memory, for fake time.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// timed serves on fake time and connects one client.
func timed(t *testing.T, b Backend, test func(client net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipeListener()
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- Serve(ctx, listener, b, quiet()) }()
		client, server := net.Pipe()
		listener.conns <- server
		test(client)
		_ = client.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestClientThatSaysNothingIsHungUpOn(t *testing.T) {
	timed(t, node("lvs1"), func(client net.Conn) {
		began := time.Now()
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read %v, want a hang-up", err)
		}
		if took := time.Since(began); took != requestBound {
			t.Errorf("hung up after %v, want %v", took, requestBound)
		}
	})
}

func TestClientThatReadsNothingIsHungUpOn(t *testing.T) {
	timed(t, node(strings.Repeat("x", 1<<20)), func(client net.Conn) {
		if _, err := io.WriteString(client, "GET /v1/status HTTP/1.1\r\nHost: haldir\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * requestBound)
		if data, err := io.ReadAll(client); err != nil || len(data) > 1<<20 {
			t.Errorf("after a long pause %d bytes came (%v), want the rest to be given up", len(data), err)
		}
	})
}

func TestBackendThatIsSlowIsGivenUpOn(t *testing.T) {
	b := node("lvs1")
	b.status = func(ctx context.Context) (Status, error) { <-ctx.Done(); return Status{}, ctx.Err() }
	timed(t, b, func(client net.Conn) {
		began := time.Now()
		if _, err := io.WriteString(client, "GET /v1/status HTTP/1.1\r\nHost: haldir\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(client)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), fmt.Sprint(http.StatusServiceUnavailable)) || !strings.Contains(string(data), `{"error":"the request took too long"}`) {
			t.Errorf("answer %q, want %d and an error", data, http.StatusServiceUnavailable)
		}
		if took := time.Since(began); took != requestBound {
			t.Errorf("given up after %v, want %v", took, requestBound)
		}
	})
}
