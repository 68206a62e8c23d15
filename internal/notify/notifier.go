package notify

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/haldir-lb/haldir/internal/script"
	"github.com/haldir-lb/haldir/internal/statefile"
)

const (
	// Pauses between attempts to deliver a state that could not be delivered.
	firstPause = time.Second
	lastPause  = time.Minute
	// killBound is how long the end of what was killed is waited for.
	killBound = time.Second
)

// Options is what a Notifier needs.
type Options struct {
	// Path is the file in which is kept what was delivered, so that a successor of
	// this process neither repeats nor forgets anything.
	Path string
	// Run runs a program; script.RunSafe outside tests.
	Run func(context.Context, script.Command) (script.Result, error)
	// Post delivers JSON to a URL; Post of this package outside tests.
	Post func(ctx context.Context, url string, body []byte) error
	Log  *slog.Logger
}

// Notifier has hooks run. Its methods may be called by any goroutine.
type Notifier struct {
	Options
	base   context.Context // of all hooks
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool               // guarded by mu
	hooks  map[Subject]Hooks  // guarded by mu
	queues map[Subject]*queue // guarded by mu, with what is in them
	// delivered is what was told last, by Subject.String; empty while that is not
	// certain. Guarded by mu.
	delivered map[string]State

	saving sync.Mutex // one at a time, the newest last
}

// queue is what waits for one subject.
type queue struct {
	pending *task
	busy    bool          // a goroutine works on it
	news    chan struct{} // capacity 1: pending was replaced
	report  *Report
}

type task struct {
	Event
	hooks []Hook
	ready func(context.Context)
	done  map[string]bool // programs and URLs that need no other attempt
}

// New returns a Notifier without hooks, which knows what was delivered before.
func New(o Options) *Notifier {
	n := &Notifier{Options: o, hooks: make(map[Subject]Hooks), queues: make(map[Subject]*queue), delivered: make(map[string]State)}
	n.base, n.cancel = context.WithCancel(context.Background())
	if err := statefile.Load(o.Path, &n.delivered); err != nil {
		o.Log.Warn("reading what was notified", "error", err)
	}
	if n.delivered == nil {
		n.delivered = make(map[string]State)
	}
	return n
}

// Set makes these the hooks of what is told from now on.
func (n *Notifier) Set(hooks map[Subject]Hooks) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hooks = maps.Clone(hooks)
}

// Tell queues an event, in place of one that waits for the same subject. ready is
// called before anything is done about it and may wait, until its context ends. A
// state that was delivered last is not delivered again.
func (n *Notifier) Tell(e Event, ready func(context.Context)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	hooks, wanted := n.hooks[e.Subject]
	if !wanted || n.closed {
		return
	}
	q := n.queues[e.Subject]
	if q == nil {
		q = &queue{news: make(chan struct{}, 1)}
		n.queues[e.Subject] = q
	}
	q.pending = &task{e, hooks[e.State], ready, make(map[string]bool)}
	select {
	case q.news <- struct{}{}:
	default:
	}
	if !q.busy {
		q.busy = true
		n.work.Go(func() { n.serve(e.Subject, q) })
	}
}

// Reports returns what was last done, by subject.
func (n *Notifier) Reports() map[Subject]Report {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make(map[Subject]Report)
	for s, q := range n.queues {
		if q.report != nil {
			out[s] = *q.report
		}
	}
	return out
}

// Close waits until everything was delivered or ctx ends, and then ends what still
// runs. Nothing is taken afterwards.
func (n *Notifier) Close(ctx context.Context) {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	done := make(chan struct{})
	go func() { n.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		n.Log.Warn("notifications are given up: there is no time left")
	}
	n.cancel()
	select {
	case <-done:
	case <-time.After(killBound): // a process that the kernel holds does not die
	}
}

// serve deals with what waits for one subject until nothing does.
func (n *Notifier) serve(s Subject, q *queue) {
	pause := firstPause
	var again *task
	for {
		t := n.next(s, q, again)
		if t == nil {
			return
		}
		if t != again {
			pause = firstPause
			if t.ready != nil {
				t.ready(n.base)
			}
		}
		again = nil
		if len(t.hooks) == 0 {
			n.settle(s, t.State)
			continue
		}
		n.settle(s, "") // whatever becomes of it, it may have been told
		report := Report{State: t.State, At: time.Now(), Running: true}
		n.note(q, report)
		err := n.do(t)
		report.Running, report.Took = false, time.Since(report.At)
		if err != nil {
			report.Problem = err.Error()
			n.Log.Warn("notifying", "subject", s.String(), "state", string(t.State), "error", err)
		}
		if n.base.Err() != nil {
			n.note(q, report)
			continue // it was cut short: a successor does it again
		}
		if t.complete() {
			n.settle(s, t.State)
			n.note(q, report)
			continue
		}
		report.Again = time.Now().Add(pause)
		n.note(q, report)
		again = t
		n.rest(q, pause)
		pause = min(2*pause, lastPause)
	}
}

// next takes the event that waits, or the one to be tried again. It returns nil,
// and the queue is no longer served, if there is none.
func (n *Notifier) next(s Subject, q *queue, again *task) *task {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		t := again
		if q.pending != nil {
			t, q.pending = q.pending, nil
		}
		again = nil
		if t == nil || n.base.Err() != nil {
			q.busy = false
			return nil
		}
		select {
		case <-q.news:
		default:
		}
		if n.delivered[s.String()] != t.State {
			return t
		}
	}
}

// rest waits before another attempt, until there is news.
func (n *Notifier) rest(q *queue, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.news:
	case <-n.base.Done():
	}
}

func (n *Notifier) note(q *queue, r Report) {
	n.mu.Lock()
	defer n.mu.Unlock()
	q.report = &r
}

// settle writes down what was told last.
func (n *Notifier) settle(s Subject, state State) {
	n.saving.Lock()
	defer n.saving.Unlock()
	n.mu.Lock()
	n.delivered[s.String()] = state
	all := maps.Clone(n.delivered)
	n.mu.Unlock()
	if err := statefile.Save(n.Path, all); err != nil {
		n.Log.Warn("writing down what was notified", "error", err)
	}
}

// do runs what is left to do for an event. A program that has run, well or not, is
// not run again for the same event; a URL is tried until it could be reached.
func (n *Notifier) do(t *task) error {
	var errs []error
	for _, h := range t.hooks {
		if key := h.program(); key != "" && !t.done[key] {
			t.done[key] = true
			errs = append(errs, n.run(t.Event, h))
		}
	}
	for _, h := range t.hooks {
		if h.URL == "" || t.done[h.URL] {
			continue
		}
		err := n.post(t.Event, h)
		t.done[h.URL] = err == nil
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// complete reports whether nothing is left to do.
func (t *task) complete() bool {
	for _, h := range t.hooks {
		if h.URL != "" && !t.done[h.URL] {
			return false
		}
	}
	return true
}

// program names the program of a hook; empty: there is none.
func (h Hook) program() string { return strings.Join(h.Command, "\x00") }

func itoa(n uint8) string { return strconv.Itoa(int(n)) }

// firstLine is what of a program's output fits into a message.
func firstLine(output []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
	const limit = 200
	if len(line) > limit {
		line = line[:limit] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '.'
		}
		return r
	}, line)
}
