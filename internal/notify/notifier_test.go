package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/script"
)

var edge = Subject{Name: "edge"}

// rig is a Notifier whose programs and URLs are the test's.
type rig struct {
	*Notifier
	t *testing.T

	mu    sync.Mutex
	did   []string
	takes time.Duration // each program
	deaf  bool          // no URL answers
	fails error         // of each program
}

func newRig(t *testing.T, path string) *rig {
	r := &rig{t: t}
	r.Notifier = New(Options{Path: path, Run: r.run, Post: r.post, Log: slog.New(slog.DiscardHandler)})
	hook := func(state string) []Hook { return []Hook{{Command: []string{"/" + state}, Timeout: 10 * time.Second}} }
	r.Set(map[Subject]Hooks{
		edge:                       {Master: hook("master"), Backup: hook("backup"), Fault: hook("fault"), Stop: hook("stop")},
		{Name: "other"}:            {Master: hook("other")},
		{Name: "url"}:              {Master: {{Command: []string{"/program"}, URL: "http://host/x?secret", Timeout: time.Second}}, Backup: hook("down")},
		{Name: "g", Group: true}:   {Master: {{Command: []string{"/any"}, Words: true, Timeout: time.Second}}},
		{Name: "silent in backup"}: {Master: hook("loud")},
	})
	return r
}

func (r *rig) say(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.did = append(r.did, what)
}

func (r *rig) run(ctx context.Context, c script.Command) (script.Result, error) {
	r.say(strings.Join(c.Args, " "))
	r.mu.Lock()
	takes, fails := r.takes, r.fails
	r.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		r.say("killed")
		return script.Result{}, ctx.Err()
	}
	return script.Result{}, fails
}

func (r *rig) post(_ context.Context, url string, body []byte) error {
	r.mu.Lock()
	deaf := r.deaf
	r.mu.Unlock()
	if deaf {
		r.say("unanswered")
		return errors.New("connection refused")
	}
	r.say("POST " + url)
	var b Body
	if err := json.Unmarshal(body, &b); err != nil {
		r.t.Errorf("body %s: %v", body, err)
	}
	return nil
}

func (r *rig) tell(name string, states ...State) {
	for _, s := range states {
		r.Tell(Event{Subject: Subject{Name: name}, State: s, At: time.Now()}, nil)
	}
}

func (r *rig) want(when string, want ...string) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.did, want) {
		r.t.Errorf("%s: %q, want %q", when, r.did, want)
	}
	r.did = nil
}

func (r *rig) end() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Close(ctx)
}

func bubble(t *testing.T, test func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, filepath.Join(t.TempDir(), "notify.json"))
		defer r.end()
		test(t, r)
	})
}

// One at a time for each subject; of those that wait the latest alone.
func TestEventsAreSerialAndCoalesce(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.takes = time.Second
		r.tell("edge", Backup)
		synctest.Wait()
		r.tell("edge", Master, Backup, Fault, Master)
		r.want("while the first runs", "/backup")
		time.Sleep(time.Second)
		r.want("then", "/master")
		time.Sleep(10 * time.Second)
		r.want("at last")
	})
}

func TestStateThatWasDeliveredLastIsNotRepeated(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.takes = time.Second
		r.tell("edge", Master)
		synctest.Wait()
		r.tell("edge", Backup, Master)
		time.Sleep(5 * time.Second)
		r.want("there and back during the run", "/master")
	})
}

func TestSubjectsDoNotWaitForOneAnother(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.takes = time.Hour
		r.tell("edge", Master)
		synctest.Wait()
		r.tell("other", Master)
		r.want("both", "/master", "/other")
	})
}

func TestTellingNeverWaits(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.takes = time.Hour
		begun := time.Now()
		for range 1000 {
			r.tell("edge", Master, Backup)
			r.tell("nobody", Master)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("took %v", took)
		}
		synctest.Wait()
		if n := len(r.queues); n != 1 {
			t.Errorf("%d queues, want that of edge alone", n)
		}
	})
}

func TestProgramIsBoundedInTime(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.takes = time.Hour
		r.tell("edge", Master)
		time.Sleep(10 * time.Second)
		r.want("after the timeout", "/master", "killed")
		if got := r.Reports()[edge]; got.State != Master || got.Running || got.Took != 10*time.Second || got.Problem != "/master: killed after 10s" {
			t.Errorf("report %+v", got)
		}
		r.takes = 0
		r.tell("edge", Backup)
		r.want("then", "/backup")
		if got := r.Reports()[edge]; got.State != Backup || got.Problem != "" {
			t.Errorf("report %+v", got)
		}
	})
}

func TestProgramThatFailsIsNotRepeated(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.fails = fmt.Errorf("%w: no such file", script.ErrNotStarted)
		r.tell("edge", Master)
		time.Sleep(time.Hour)
		r.want("in an hour", "/master")
		if got := r.Reports()[edge]; !strings.Contains(got.Problem, "no such file") || !got.Again.IsZero() {
			t.Errorf("report %+v", got)
		}
	})
}

// The last state is delivered, however long that takes, and the program of the
// same hook is run once.
func TestURLIsTriedUntilItAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.deaf = true
		r.tell("url", Master)
		time.Sleep(3500 * time.Millisecond)
		r.want("after 0, 1 and 3 seconds", "/program", "unanswered", "unanswered", "unanswered")
		if got := r.Reports()[Subject{Name: "url"}]; got.Problem != "http://host: connection refused" || got.Again.IsZero() {
			t.Errorf("report %+v, want the host alone and another attempt", got)
		}
		time.Sleep(10 * time.Minute)
		r.mu.Lock()
		if n := len(r.did); n < 8 || n > 16 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		r.did, r.deaf = nil, false
		r.mu.Unlock()
		time.Sleep(lastPause)
		r.want("once it answers", "POST http://host/x?secret")
		time.Sleep(time.Hour)
		r.want("then")
	})
}

func TestNewsEndTheAttemptsForWhatIsOver(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.deaf = true
		r.tell("url", Master)
		time.Sleep(time.Millisecond)
		r.tell("url", Backup)
		time.Sleep(time.Hour)
		r.want("in an hour", "/program", "unanswered", "/down")
	})
}

// What was told half is not taken for delivered.
func TestThereAndBackAfterAFailedAttemptIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.tell("url", Backup)
		r.want("at first", "/down")
		r.deaf = true
		r.tell("url", Master)
		time.Sleep(time.Millisecond)
		r.want("the program was told", "/program", "unanswered")
		r.tell("url", Backup)
		r.want("back", "/down")
	})
}

// A successor neither repeats nor forgets.
func TestSuccessorGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "notify.json")
		r := newRig(t, path)
		r.tell("edge", Master)
		r.tell("silent in backup", Backup)
		r.want("at first", "/master")
		r.end()
		r = newRig(t, path)
		r.tell("edge", Master)
		r.want("the same state")
		r.takes = time.Hour
		r.tell("edge", Backup)
		r.want("another", "/backup")
		r.end() // while it runs
		r = newRig(t, path)
		r.tell("edge", Backup)
		r.want("what was not finished", "/backup")
		r.end()
	})
}

func TestCloseWaitsWithinItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for takes, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: 5 * time.Second} {
			r := newRig(t, filepath.Join(t.TempDir(), "notify.json"))
			r.takes = takes
			r.tell("edge", Stop)
			synctest.Wait()
			begun := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			r.Close(ctx)
			cancel()
			if took := time.Since(begun); took != want {
				t.Errorf("with a program of %v Close took %v, want %v", takes, took, want)
			}
			r.tell("edge", Master)
			if synctest.Wait(); len(r.did) > 2 {
				t.Errorf("after Close: %q", r.did)
			}
		}
	})
}

func TestReadyComesBeforeTheHooks(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.Tell(Event{Subject: edge, State: Master}, func(context.Context) { time.Sleep(time.Second); r.say("ready") })
		time.Sleep(time.Second)
		r.want("in order", "ready", "/master")
	})
}

// Scripts written for keepalived get what they know.
func TestWordsAndEnvironment(t *testing.T) {
	e := Event{
		Subject: Subject{Group: true, Name: "g"}, Node: "lvs1", Old: Backup, State: Master, Priority: 150, Reason: "master silent", Detail: "script down: -60",
		At: time.Date(2020, 1, 2, 3, 4, 5, 600, time.UTC),
	}
	h := Hook{Command: []string{"/any", "x"}, Words: true}
	if got, want := h.arguments(e), []string{"/any", "x", "GROUP", "g", "MASTER", "150"}; !slices.Equal(got, want) {
		t.Errorf("arguments %q, want %q", got, want)
	}
	h.Words = false
	if got := h.arguments(e); !slices.Equal(got, h.Command) {
		t.Errorf("arguments %q, want %q", got, h.Command)
	}
	want := []string{
		"HALDIR_TYPE=GROUP", "HALDIR_NAME=g", "HALDIR_STATE=MASTER", "HALDIR_PRIORITY=150", "HALDIR_OLD_STATE=BACKUP",
		"HALDIR_REASON=master silent", "HALDIR_DETAIL=script down: -60", "HALDIR_NODE=lvs1", "HALDIR_TIME=2020-01-02T03:04:05.0000006Z",
	}
	if got := e.environment(); !slices.Equal(got, want) {
		t.Errorf("environment %q, want %q", got, want)
	}
	body, err := json.Marshal(e.body())
	if want := `{"version":1,"type":"group","name":"g","node":"lvs1","old_state":"backup","state":"master","priority":150,"reason":"master silent","detail":"script down: -60","time":"2020-01-02T03:04:05.0000006Z"}`; err != nil || string(body) != want {
		t.Errorf("body %s, want %s", body, want)
	}
}
