package checker

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test.
const patience = 20 * time.Second

// rig is a checker with the director's end of its link.
type rig struct {
	t        *testing.T
	director process.Link
	stop     context.CancelFunc
	ended    chan error
	log      *journal
}

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func start(t *testing.T) *rig {
	t.Helper()
	director, link := process.Pipe()
	ctx, stop := context.WithCancel(context.Background())
	r := &rig{t: t, director: director, stop: stop, ended: make(chan error, 1), log: &journal{}}
	go func() { r.ended <- Run(ctx, link, slog.New(slog.NewTextHandler(r.log, nil))) }()
	t.Cleanup(func() {
		stop()
		_ = r.end()
		_ = director.Close()
		_ = link.Close()
	})
	var hello process.Hello
	if err := r.next(process.KindHello).Decode(&hello); err != nil || hello.PID != os.Getpid() {
		t.Errorf("hello of process %d (%v), want %d", hello.PID, err, os.Getpid())
	}
	return r
}

func (r *rig) end() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		r.ended <- err
		return err
	case <-time.After(patience):
		r.t.Fatal("the checker does not end")
		return nil
	}
}

func (r *rig) send(kind string, body any) {
	r.t.Helper()
	if err := r.director.Send(kind, "", body); err != nil {
		r.t.Fatal(err)
	}
}

// next receives a message of that kind; verdicts and digests that come before are
// dropped.
func (r *rig) next(kind string) process.Message {
	r.t.Helper()
	bound := time.After(patience)
	for {
		select {
		case m, ok := <-r.director.Receive():
			if ok && m.Kind == kind {
				return m
			}
			if !ok || m.Kind != KindVerdict && m.Kind != KindDigest {
				r.t.Fatalf("received %q (%v), want %q", m.Kind, ok, kind)
			}
		case <-bound:
			r.t.Fatalf("no %q came", kind)
		}
	}
}

// verdict receives the next verdict that is as wanted.
func (r *rig) verdict(id string, status healthcheck.Status) healthcheck.Verdict {
	r.t.Helper()
	for {
		var v healthcheck.Verdict
		if err := r.next(KindVerdict).Decode(&v); err != nil {
			r.t.Fatal(err)
		}
		if v.ID == id && v.Status == status {
			return v
		}
	}
}

// snapshot says hello, as a director that starts.
func (r *rig) snapshot() map[string]healthcheck.Verdict {
	r.t.Helper()
	r.send(process.KindHello, process.Hello{PID: 1})
	m := r.next(KindVerdicts)
	var all Verdicts
	if err := m.Decode(&all); err != nil {
		r.t.Fatal(err)
	}
	if all.Verdicts == nil {
		r.t.Errorf("the verdicts are %s, want a map", m.Body)
	}
	return all.Verdicts
}

// servers returns the address of a real server that answers, and of one that
// refuses.
func servers(t *testing.T) (answers, refuses netip.AddrPort) {
	t.Helper()
	listen := func() *net.TCPListener {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	open, closed := listen(), listen()
	t.Cleanup(func() { _ = open.Close() })
	refuses = closed.Addr().(*net.TCPAddr).AddrPort()
	_ = closed.Close()
	return open.Addr().(*net.TCPAddr).AddrPort(), refuses
}

func target(id string, address netip.AddrPort) healthcheck.Target {
	return healthcheck.Target{ID: id, Type: "tcp", Address: address, Every: healthcheck.MinEvery, Timeout: time.Second, Rise: 2, Fall: 3}
}

func TestTargetsAreCheckedAndVerdictsSent(t *testing.T) {
	answers, refuses := servers(t)
	r := start(t)
	if got := r.snapshot(); len(got) != 0 {
		t.Errorf("verdicts before any target: %v", got)
	}
	r.send(KindTargets, Targets{Targets: []healthcheck.Target{target("a", answers), target("b", refuses)}})
	r.verdict("a", healthcheck.Up)
	down := r.verdict("b", healthcheck.Down)
	if down.Reason != "connection refused" || down.Checked.IsZero() || down.Since.IsZero() {
		t.Errorf("verdict of a server that refuses: %+v", down)
	}
	got := r.snapshot()
	if got["a"].Status != healthcheck.Up || got["b"].Status != healthcheck.Down || len(got) != 2 {
		t.Errorf("the snapshot has %v, want a up and b down", got)
	}

	r.send(KindTargets, Targets{Targets: []healthcheck.Target{target("b", refuses)}})
	if got := slices.Collect(maps.Keys(r.snapshot())); !slices.Equal(got, []string{"b"}) {
		t.Errorf("the snapshot has %v after a was dropped, want b", got)
	}
}

func TestSuccessorGoesOnFromKnownVerdicts(t *testing.T) {
	answers, refuses := servers(t)
	r := start(t)
	since := time.Now().Add(-time.Hour).UTC()
	slow := target("up before", refuses)
	slow.Fall = 1_000_000
	careful := target("down before", answers)
	careful.Rise = 1_000_000 // an unknown one would be up at its first success
	r.send(KindTargets, Targets{
		Targets: []healthcheck.Target{slow, careful},
		Known: map[string]healthcheck.Verdict{
			"up before":   {ID: "up before", Status: healthcheck.Up, Since: since},
			"down before": {ID: "down before", Status: healthcheck.Down, Since: since},
		},
	})
	for id, want := range map[string]healthcheck.Status{"up before": healthcheck.Up, "down before": healthcheck.Down} {
		for bound := time.Now().Add(patience); ; {
			if time.Now().After(bound) {
				t.Fatalf("%s was not checked", id)
			}
			v, taken := r.snapshot()[id]
			if !taken {
				continue // the hello overtook the targets
			}
			if v.Status != want || !v.Since.Equal(since) {
				t.Fatalf("%s: %v since %v, want %v since %v", id, v.Status, v.Since, want, since)
			}
			if !v.Checked.IsZero() {
				break // by this checker: a result did not throw away what was known
			}
		}
	}
}

// TestConfirmationsAreToldInDigests: a target that goes on as it was costs no message
// of its own.
func TestConfirmationsAreToldInDigests(t *testing.T) {
	answers, _ := servers(t)
	r := start(t)
	r.send(KindTargets, Targets{Targets: []healthcheck.Target{target("a", answers), target("b", answers)}})
	verdicts := map[string]healthcheck.Verdict{"a": r.verdict("a", healthcheck.Up)}
	first := verdicts["a"].Checked
	for !verdicts["a"].Checked.After(first.Add(time.Second)) {
		m := r.next(KindDigest)
		var d healthcheck.Digest
		if err := m.Decode(&d); err != nil || len(d.IDs) == 0 {
			t.Fatalf("digest %s (%v), want what was confirmed", m.Body, err)
		}
		d.Confirm(verdicts)
	}
	if v := verdicts["a"]; len(verdicts) != 1 || v.Status != healthcheck.Up || v.Duration <= 0 {
		t.Errorf("after the digests it is %+v, want a alone, up and with a duration", verdicts)
	}
}

func TestHistoryIsToldOnRequest(t *testing.T) {
	_, refuses := servers(t)
	r := start(t)
	r.send(KindTargets, Targets{Targets: []healthcheck.Target{target("b", refuses)}})
	r.verdict("b", healthcheck.Down)
	r.send(KindHistoryRequest, HistoryRequest{ID: 7, Targets: []string{"b", "nobody"}})
	var h History
	if err := r.next(KindHistory).Decode(&h); err != nil {
		t.Fatal(err)
	}
	records := h.Records["b"]
	if h.ID != 7 || len(h.Records) != 1 || len(records) == 0 || records[0].Reason != "connection refused" || !records[0].Failed {
		t.Errorf("history %+v, want the refusals of b", h)
	}
}

func TestStrangeMessagesDoNoHarm(t *testing.T) {
	answers, _ := servers(t)
	for _, test := range []struct{ name, kind, body, log string }{
		{"unknown kind", "dance", `{}`, "unknown kind"},
		{"targets of another shape", KindTargets, `"all"`, "decoding"},
		{"a target of another shape", KindTargets, `{"targets":[{"address":"nowhere"}]}`, "decoding"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t)
			r.send(KindTargets, Targets{Targets: []healthcheck.Target{target("a", answers)}})
			r.verdict("a", healthcheck.Up)
			r.send(test.kind, json.RawMessage(test.body))
			if got := r.snapshot(); got["a"].Status != healthcheck.Up {
				t.Errorf("afterwards the verdicts are %v, want a up", got)
			}
			if log := r.log.String(); !strings.Contains(log, test.log) {
				t.Errorf("the log says %q, want %q", log, test.log)
			}
		})
	}
}

func TestTargetThatCannotBeCheckedSaysWhyAndHarmsNoOther(t *testing.T) {
	answers, _ := servers(t)
	r := start(t)
	bad := target("bad", answers)
	bad.Type = "pigeon"
	r.send(KindTargets, Targets{Targets: []healthcheck.Target{bad, target("a", answers)}})
	r.verdict("a", healthcheck.Up)
	if v := r.snapshot()["bad"]; v.Status != healthcheck.Unknown || !strings.Contains(v.Detail, `"pigeon"`) {
		t.Errorf("verdict of a target of no known type: %+v", v)
	}
}

func TestEnd(t *testing.T) {
	t.Run("asked", func(t *testing.T) {
		r := start(t)
		r.stop()
		if err := r.end(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	t.Run("the director's end is gone", func(t *testing.T) {
		r := start(t)
		_ = r.director.Close()
		if err := r.end(); !errors.Is(err, process.ErrClosed) {
			t.Errorf("Run = %v, want %v", err, process.ErrClosed)
		}
	})
}
