package control

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test.
const patience = 20 * time.Second

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// backend answers by functions.
type backend struct {
	Operator
	status func(context.Context) (Status, error)
	reload func(context.Context) (ReloadResult, error)
	Journal
}

func (b backend) Status(ctx context.Context) (Status, error)       { return b.status(ctx) }
func (b backend) Reload(ctx context.Context) (ReloadResult, error) { return b.reload(ctx) }

func node(name string) backend {
	return backend{
		status: func(context.Context) (Status, error) { return Status{Node: name}, nil },
		reload: func(context.Context) (ReloadResult, error) { return ReloadResult{Applied: true}, nil },
	}
}

// serve listens on a socket until the test ends or stop is called.
func serve(t *testing.T, b Backend) (path string, stop func() error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "run", SocketName)
	listener, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, b, quiet()) }()
	stop = func() error {
		cancel()
		select {
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(patience):
			t.Fatal("serving does not end")
			return nil
		}
	}
	t.Cleanup(func() { _ = stop() })
	return path, stop
}

func TestStatusArrivesAsItIs(t *testing.T) {
	yes, weight, checked := true, uint32(3), Of(1500*time.Microsecond)
	want := Status{
		API: Version, Node: "lvs1", At: time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC), Release: "1.0",
		Config: ConfigStatus{Path: "/etc/haldir/haldir.toml", LastReload: &ReloadResult{Errors: []string{"line 1: wrong"}}},
		Routers: []RouterStatus{{
			Name: "edge", State: "master", VRID: 51, Interval: Of(time.Second), Peer: &PeerStatus{Address: "192.0.2.2", Age: checked},
			Addresses: []AddressStatus{{Address: "192.0.2.100/24", Present: &yes, Ours: true}},
		}},
		Services: []ServiceStatus{{Name: "web", Loaded: &yes, Real: []RealStatus{{Health: "up", Weight: &weight, Checked: &checked}}}},
		Problems: []string{"none really"},
	}
	path, _ := serve(t, backend{status: func(context.Context) (Status, error) { return want, nil }})
	got, err := NewClient(path).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestReloadArrivesAsItIs(t *testing.T) {
	want := ReloadResult{At: time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC), Errors: []string{"a", "b"}, Changes: []string{"c"}}
	path, _ := serve(t, backend{reload: func(context.Context) (ReloadResult, error) { return want, nil }})
	got, err := NewClient(path).Reload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func TestErrorsArriveAsTheyAre(t *testing.T) {
	const text = `reading "the" truth: no such kernel`
	path, _ := serve(t, backend{status: func(context.Context) (Status, error) { return Status{}, errors.New(text) }})
	if _, err := NewClient(path).Status(t.Context()); err == nil || err.Error() != text {
		t.Errorf("Status = %v, want %q", err, text)
	}
}

// ask makes a plain HTTP request.
func ask(t *testing.T, path, method, url, body string) (status int, kind, answer string) {
	t.Helper()
	client := NewClient(path)
	request, err := http.NewRequestWithContext(t.Context(), method, "http://haldir"+url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), string(data)
}

func TestEveryAnswerIsJSON(t *testing.T) {
	b := node("lvs1")
	fine := b.status
	for _, test := range []struct {
		name, method, url string
		status            func(context.Context) (Status, error)
		code              int
		answer            string
	}{
		{"success", "POST", "/v1/reload", fine, 200, `{"at":"0001-01-01T00:00:00Z","applied":true}` + "\n"},
		{"error", "GET", "/v1/status", func(context.Context) (Status, error) { return Status{}, errors.New("no") }, 500, `{"error":"no"}` + "\n"},
		{"no such request", "GET", "/v1/stats", fine, 404, `{"error":"no such request: GET /v1/stats"}` + "\n"},
		{"no such version", "GET", "/v2/status", fine, 404, `{"error":"no such request: GET /v2/status"}` + "\n"},
		{"reload by GET", "GET", "/v1/reload", fine, 404, `{"error":"no such request: GET /v1/reload"}` + "\n"},
		{"what JSON cannot say", "GET", "/v1/status",
			func(context.Context) (Status, error) {
				return Status{Routers: []RouterStatus{{Lateness: Milliseconds(math.NaN())}}}, nil
			}, 500, `{"error":"json: unsupported value: NaN"}` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path, _ := serve(t, backend{status: test.status, reload: b.reload})
			code, kind, answer := ask(t, path, test.method, test.url, "")
			if code != test.code || answer != test.answer || kind != "application/json" {
				t.Errorf("answer %d %s %q, want %d application/json %q", code, kind, answer, test.code, test.answer)
			}
		})
	}
}

func TestMilliseconds(t *testing.T) {
	for _, test := range []struct {
		in   time.Duration
		want Milliseconds
	}{{0, 0}, {1500 * time.Microsecond, 1.5}, {1234567 * time.Nanosecond, 1.235}, {-time.Second, -1000}} {
		if got := Of(test.in); got != test.want {
			t.Errorf("Of(%v) = %v, want %v", test.in, got, test.want)
		}
	}
	now := time.Now()
	if got := Since(now.Add(-time.Second), now); got.Duration() != time.Second {
		t.Errorf("Since a second ago = %v", got.Duration())
	}
}

func TestClientSaysThatNobodyRuns(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "absent", SocketName)
	for name, path := range map[string]string{"missing": missing, "abandoned": abandonedSocket(t)} {
		t.Run(name, func(t *testing.T) {
			_, err := NewClient(path).Status(t.Context())
			want := "asking for status at " + path + ": haldir is not running here"
			if !errors.Is(err, ErrNotRunning) || err.Error() != want {
				t.Errorf("Status = %v, want %q", err, want)
			}
		})
	}
}

// abandonedSocket is what a killed process leaves.
func abandonedSocket(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), SocketName)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestClientKeepsOtherErrors(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 200))
	_, err := NewClient(long).Status(t.Context())
	if err == nil || errors.Is(err, ErrNotRunning) || !strings.HasPrefix(err.Error(), "asking for status at "+long+": dial unix") {
		t.Errorf("Status = %v, want the reason, and not that nothing runs", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	path, _ := serve(t, node("lvs1"))
	if _, err := NewClient(path).Status(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("Status of a caller that has gone = %v, want %v", err, context.Canceled)
	}
}

func TestClientBoundsWhatItReads(t *testing.T) {
	path, _ := serve(t, node(strings.Repeat("x", 5000)))
	c := NewClient(path)
	c.limit = 5000
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "longer than 5000 bytes") {
		t.Errorf("Status = %v, want a refusal of the length", err)
	}
	c.limit = 10_000
	if s, err := c.Status(t.Context()); err != nil || len(s.Node) != 5000 {
		t.Errorf("Status = %d bytes of node, %v; want 5000", len(s.Node), err)
	}
}

func TestClientTakesAnAnswerOfSeveralMegabytes(t *testing.T) {
	b := node("lvs1")
	b.status = func(context.Context) (Status, error) {
		return Status{Foreign: make([]string, 1<<20)}, nil
	}
	path, _ := serve(t, b)
	if s, err := NewClient(path).Status(t.Context()); err != nil || len(s.Foreign) != 1<<20 {
		t.Errorf("Status = %d services, %v; want %d", len(s.Foreign), err, 1<<20)
	}
}

func TestClientRefusesAStranger(t *testing.T) {
	for _, test := range []struct{ name, answer, want string }{
		{"no JSON", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "decoding the answer for status"},
		{"another program", "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 6\r\n\r\nshort\n", `418 I'm a teapot: "short"`},
		{"a long page", "HTTP/1.1 500 Oh\r\nContent-Length: 900\r\n\r\n" + strings.Repeat("x", 900), `500 Oh: "` + strings.Repeat("x", 200) + `"...`},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), SocketName)
			listener, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, test.answer)
			}()
			if _, err := NewClient(path).Status(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Status = %v, want %q", err, test.want)
			}
		})
	}
}

func TestListenMakesItsFolderAndRestrictsTheSocket(t *testing.T) {
	path, _ := serve(t, node("lvs1"))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode(), fs.ModeSocket|0o660; got != want {
		t.Errorf("mode of the socket %v, want %v", got, want)
	}
}

func TestListenReplacesAnAbandonedSocket(t *testing.T) {
	path := abandonedSocket(t)
	listener, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("nobody listens on the replaced socket: %v", err)
	}
	_ = conn.Close()
}

func TestListenRefuses(t *testing.T) {
	inUse, _ := serve(t, node("lvs1"))
	dir := t.TempDir()
	file := filepath.Join(dir, "haldir.toml")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(inUse, link); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, want string }{
		{"a socket in use", inUse, "another haldir answers there"},
		{"a file", file, "no socket"},
		{"a folder", empty, "no socket"},
		{"a symbolic link", link, "no socket"},
		{"a path below a file", filepath.Join(file, SocketName), "making the folder of the API socket"},
		{"a path that is too long", filepath.Join(dir, strings.Repeat("x", 150)), "opening the API socket"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, _ := os.Lstat(test.path)
			listener, err := Listen(test.path)
			if err == nil {
				_ = listener.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Listen = %v, want %q", err, test.want)
			}
			if after, _ := os.Lstat(test.path); before != nil && (after == nil || after.Mode() != before.Mode()) {
				t.Errorf("what was there has changed from %v to %v", before, after)
			}
		})
	}
	if s, err := NewClient(inUse).Status(t.Context()); err != nil || s.Node != "lvs1" {
		t.Errorf("the socket in use answers %v, %v afterwards", s.Node, err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file has become %q, %v", text, err)
	}
}
