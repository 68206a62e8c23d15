package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// audience collects what actors report.
type audience struct {
	t    *testing.T
	out  *os.File // where actors write
	once sync.Once
	read chan struct{} // closed when no actor is left

	mu      sync.Mutex
	events  []event
	changed chan struct{} // closed and replaced with each event
}

func newAudience(t *testing.T) *audience {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	a := &audience{t: t, out: w, read: make(chan struct{}), changed: make(chan struct{})}
	go func() {
		defer close(a.read)
		defer r.Close()
		for lines := bufio.NewScanner(r); lines.Scan(); {
			var e event
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Errorf("an actor wrote %q", lines.Bytes())
				continue
			}
			a.mu.Lock()
			a.events = append(a.events, e)
			close(a.changed)
			a.changed = make(chan struct{})
			a.mu.Unlock()
		}
	}()
	return a
}

// end waits until no actor is left.
func (a *audience) end() {
	a.once.Do(func() { _ = a.out.Close() })
	select {
	case <-a.read:
	case <-time.After(patience):
		a.t.Error("an actor is still there")
	}
}

// all returns the events so far that match.
func (a *audience) all(match func(event) bool) []event {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []event
	for _, e := range a.events {
		if match(e) {
			found = append(found, e)
		}
	}
	return found
}

// wait returns the first event ever that matches.
func (a *audience) wait(what string, match func(event) bool) event {
	a.t.Helper()
	bound := time.After(patience)
	for {
		a.mu.Lock()
		events, changed := a.events, a.changed
		a.mu.Unlock()
		if i := slices.IndexFunc(events, match); i >= 0 {
			return events[i]
		}
		select {
		case <-changed:
		case <-bound:
			a.mu.Lock()
			defer a.mu.Unlock()
			a.t.Fatalf("waited in vain for %s; seen: %v", what, a.events)
		}
	}
}

// started returns the process ids that a role has had.
func (a *audience) started(role Role) []int {
	var pids []int
	for _, e := range a.all(func(e event) bool { return e.Role == role && e.What == "start" }) {
		pids = append(pids, e.PID)
	}
	return pids
}

// successor waits for a process of a role that is none of the given.
func (a *audience) successor(role Role, than ...int) int {
	a.t.Helper()
	return a.wait("a new "+string(role), func(e event) bool {
		return e.Role == role && e.What == "start" && !slices.Contains(than, e.PID)
	}).PID
}

// told waits until the director was told that the state of a role is as wanted.
func (a *audience) told(what string, role Role, want func(Child) bool) Child {
	a.t.Helper()
	var found Child
	a.wait(what, func(e event) bool {
		if e.Kind != KindChildren {
			return false
		}
		for _, c := range childrenOf(a.t, e).Children {
			if c.Role == role && want(c) {
				found = c
				return true
			}
		}
		return false
	})
	return found
}

func childrenOf(t *testing.T, e event) Children {
	t.Helper()
	var c Children
	if err := json.Unmarshal(e.Body, &c); err != nil {
		t.Fatalf("the director was told %s: %v", e.Body, err)
	}
	return c
}

// stage is a supervisor with actors, inside the test's process.
type stage struct {
	*audience
	supervisor *supervisor
	reload     chan os.Signal
	ask        context.CancelFunc // for a planned stop
	result     chan error

	onTerm   map[Role]string                   // what actors do when asked to end
	commands map[Role]func() (*exec.Cmd, bool) // in the place of actors
	cleaned  chan struct{}                     // closed by Cleanup
	refuse   error                             // of Cleanup
}

func newStage(t *testing.T) *stage {
	s := &stage{
		audience: newAudience(t), reload: make(chan os.Signal), result: make(chan error, 1),
		onTerm: make(map[Role]string), commands: make(map[Role]func() (*exec.Cmd, bool)), cleaned: make(chan struct{}),
	}
	s.supervisor = newSupervisor(Config{Command: s.command, Cleanup: s.cleanup, Reload: s.reload, Log: quiet()})
	s.supervisor.directorStop, s.supervisor.othersStop = patience/4, patience/4
	return s
}

func (s *stage) command(role Role) *exec.Cmd {
	if other := s.commands[role]; other != nil {
		if cmd, ok := other(); ok {
			return cmd
		}
	}
	return actor(role, s.out, s.onTerm[role])
}

// cleanup must find no process.
func (s *stage) cleanup(context.Context) error {
	close(s.cleaned)
	s.wantNobody("Cleanup was called")
	return s.refuse
}

func (s *stage) wantNobody(when string) {
	s.t.Helper()
	for _, role := range []Role{Speaker, Director, Checker} {
		for _, pid := range s.started(role) {
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				s.t.Errorf("when %s, %s %d still exists, alive or as a zombie (%v)", when, role, pid, err)
			}
		}
	}
}

// begin runs the supervisor; the test's end stops it.
func (s *stage) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	s.ask = cancel
	go func() { s.result <- s.supervisor.run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		select {
		case <-s.result:
		case <-time.After(patience):
			s.t.Error("the supervisor does not end")
		}
		s.end()
	})
}

// play begins and waits until everybody has heard of everybody.
func (s *stage) play() (speaker, director, checker int) {
	s.t.Helper()
	s.begin()
	speaker, director, checker = s.successor(Speaker), s.successor(Director), s.successor(Checker)
	for _, role := range []Role{Speaker, Checker} {
		s.met(role, Director)
	}
	return speaker, director, checker
}

// met waits until each of the newest processes of two roles has had an answer of
// the other.
func (s *stage) met(a, b Role) {
	s.t.Helper()
	for _, pair := range [][2]Role{{a, b}, {b, a}} {
		of, peer := s.started(pair[0]), s.started(pair[1])
		from := []byte(jsonOf(s.t, peer[len(peer)-1]))
		s.wait(string(pair[0])+" to hear of "+string(pair[1]), func(e event) bool {
			if e.Role != pair[0] || e.PID != of[len(of)-1] || e.Peer != pair[1] {
				return false
			}
			var h Hello
			return e.Kind == "known" && string(e.Body) == string(from) ||
				e.Kind == KindHello && json.Unmarshal(e.Body, &h) == nil && h.PID == peer[len(peer)-1]
		})
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// ended waits for the end of the supervisor and of all that the actors wrote.
func (s *stage) ended() error {
	s.t.Helper()
	select {
	case err := <-s.result:
		s.result <- err
		s.end()
		return err
	case <-time.After(patience):
		s.t.Fatal("the supervisor does not end")
	}
	return nil
}

func (s *stage) wantCleanup(want bool) {
	s.t.Helper()
	select {
	case <-s.cleaned:
		if !want {
			s.t.Error("Cleanup was called")
		}
	default:
		if want {
			s.t.Error("Cleanup was not called")
		}
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
