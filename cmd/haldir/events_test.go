package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/journal"
)

// journalled answers with its events, and keeps the request.
type journalled struct {
	still
	events []journal.Event
	asked  *atomic.Pointer[control.EventsRequest]
}

func (j journalled) Events(_ context.Context, r control.EventsRequest) (control.EventsResult, error) {
	j.asked.Store(&r)
	var found []journal.Event
	for _, e := range j.events {
		if e.ID > r.After {
			found = append(found, e)
		}
	}
	return control.EventsResult{Events: found}, nil
}

func TestEventsArePrinted(t *testing.T) {
	at := time.Date(2030, 1, 2, 12, 0, 0, 5e6, time.Local)
	var asked atomic.Pointer[control.EventsRequest]
	dir := serveBackend(t, journalled{asked: &asked, events: []journal.Event{
		{ID: 7, At: at, Kind: journal.KindTransition, Subject: "edge", From: "backup", To: "master", Reason: "master silent"},
		{ID: 8, At: at.Add(time.Second), Kind: journal.KindOperator, Subject: "failover", To: "handed over", By: "alice"},
	}})
	got, stdout, stderr := haldir("events", "--run-dir", dir, "--since", "2030-01-01T00:00:00Z")
	const want = "2030-01-02 12:00:00.005  transition edge: backup to master (master silent)\n" +
		"2030-01-02 12:00:01.005  operator failover: handed over, by alice\n"
	if got != exitDone || stdout != want || stderr != "" {
		t.Errorf("exit status %d, %q, %q; want %d, %q", got, stdout, stderr, exitDone, want)
	}
	if since := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC); !asked.Load().Since.Equal(since) {
		t.Errorf("asked since %v, want %v", asked.Load().Since, since)
	}
	got, stdout, _ = haldir("events", "--run-dir", dir, "--json")
	first, _, _ := strings.Cut(stdout, "\n")
	var e journal.Event
	if err := json.Unmarshal([]byte(first), &e); got != exitDone || err != nil || e.ID != 7 || strings.Count(stdout, "\n") != 2 {
		t.Errorf("as JSON: exit status %d, %v, %q", got, err, stdout)
	}
	if got, _, stderr := haldir("events", "--run-dir", dir, "--since", "yesterday"); got != exitUsage || !strings.Contains(stderr, `"yesterday" is neither an age`) {
		t.Errorf("a wrong time: exit status %d, %q", got, stderr)
	}
}

// errPipe ends a command that would go on for ever.
var errPipe = errors.New("nobody reads")

// twoWrites takes two lines and then fails.
type twoWrites struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *twoWrites) Write(b []byte) (int, error) {
	if w.lines() == 2 {
		return 0, errPipe
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *twoWrites) lines() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.text.String(), "\n")
}

func TestFollowAsksForWhatComesAfter(t *testing.T) {
	var asked atomic.Pointer[control.EventsRequest]
	at := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	dir := serveBackend(t, journalled{asked: &asked, events: []journal.Event{{ID: 7, At: at, Kind: journal.KindStart}, {ID: 8, At: at, Kind: journal.KindStop}}})
	ctx, stop := context.WithCancel(t.Context())
	s := &settings{runDir: dir, stdout: &twoWrites{}}
	ended := make(chan error, 1)
	go func() { ended <- s.follow(ctx, control.EventsRequest{}) }()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-ticker.C {
		result, err := s.client().Events(t.Context(), control.EventsRequest{})
		if err == nil && len(result.Events) == 2 && s.stdout.(*twoWrites).lines() == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was printed")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("follow = %v, want it to end quietly", err)
	}
}
