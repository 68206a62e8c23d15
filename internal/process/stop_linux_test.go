package process

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// terms returns who was asked to end, in order.
func (a *audience) terms() []Role {
	var roles []Role
	for _, e := range a.all(func(e event) bool { return e.What == "term" }) {
		roles = append(roles, e.Role)
	}
	return roles
}

func TestPlannedStopLetsTheDirectorHandOverFirst(t *testing.T) {
	s := newStage(t)
	s.onTerm[Director] = "ask" // ends once the speaker has answered
	s.play()
	s.ask()
	if err := s.ended(); err != nil {
		t.Errorf("the supervisor ended with %v", err)
	}
	terms := s.terms()
	if len(terms) != 3 || terms[0] != Director {
		t.Errorf("asked to end were %v, want the director first, then the two others", terms)
	}
	answered := s.all(func(e event) bool { return e.Role == Director && e.Kind == "answer" })
	if len(answered) != 1 {
		t.Error("the speaker was not there for the director's stop")
	}
	s.wantCleanup(false)
	s.wantNobody("the supervisor ended")
}

func TestDirectorThatDoesNotEndAsAskedIsCleanedUpAfter(t *testing.T) {
	refused := errors.New("the kernel refuses")
	for _, test := range []struct {
		name, onTerm string
		stop         time.Duration
		killed       Role // once the director was asked to end
		refuse       error
	}{
		{name: "it ends with an error", onTerm: "fail", stop: patience},
		{name: "it is killed", onTerm: "hang", stop: patience, killed: Director},
		{name: "it hangs", onTerm: "hang", stop: 10 * time.Millisecond},
		{name: "the speaker dies, who could hand over", onTerm: "hang", stop: 10 * patience, killed: Speaker},
		{name: "the cleanup fails", onTerm: "fail", stop: patience, refuse: refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.onTerm[Director] = test.onTerm
			s.supervisor.directorStop = test.stop
			s.refuse = test.refuse
			s.play()
			s.ask()
			if test.killed != "" {
				s.wait("the director to be asked", func(e event) bool { return e.Role == Director && e.What == "term" })
				kill(t, s.started(test.killed)[0])
			}
			if err := s.ended(); !errors.Is(err, test.refuse) {
				t.Errorf("the supervisor ended with %v, want %v", err, test.refuse)
			}
			s.wantCleanup(true)
			for _, role := range []Role{Speaker, Director, Checker} {
				if n := len(s.started(role)); n != 1 {
					t.Errorf("the %s was started %d times during a stop", role, n-1)
				}
			}
		})
	}
}

func TestOthersThatHangAreKilled(t *testing.T) {
	s := newStage(t)
	s.onTerm[Speaker], s.onTerm[Checker] = "hang", "hang"
	s.supervisor.othersStop = 10 * time.Millisecond
	s.play()
	s.ask()
	if err := s.ended(); err != nil {
		t.Errorf("the supervisor ended with %v", err)
	}
	s.wantCleanup(false) // the director ended as asked
	s.wantNobody("the supervisor ended")
}

func TestStopWhileAProcessWaitsForItsRestart(t *testing.T) {
	for _, test := range []struct {
		victim  Role
		cleanup bool
	}{{Checker, false}, {Director, true}, {Speaker, true}} {
		t.Run(string(test.victim), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			starts, then := 0, 0
			s.commands[test.victim] = func() (*exec.Cmd, bool) {
				starts++
				cmd, _ := looping()
				return cmd, starts > 1
			}
			s.supervisor.Log = slog.New(onWarning(func(message string) {
				if message == "process keeps dying" {
					then = starts
					s.ask() // before the delay has passed
				}
			}))
			s.play()
			kill(t, s.started(test.victim)[0])
			if err := s.ended(); err != nil {
				t.Errorf("the supervisor ended with %v, want a planned stop", err)
			}
			s.wantCleanup(test.cleanup)
			s.wantNobody("the supervisor ended")
			if terms := s.terms(); slices.Contains(terms, test.victim) {
				t.Errorf("asked to end were %v, of which the %s was not running", terms, test.victim)
			}
			if starts != then || then < freeRestarts {
				t.Errorf("%d starts, of which %d before the stop", starts, then)
			}
		})
	}
}

// onWarning is a log that calls a function with each warning.
type onWarning func(message string)

func (f onWarning) Enabled(context.Context, slog.Level) bool { return true }
func (f onWarning) WithAttrs([]slog.Attr) slog.Handler       { return f }
func (f onWarning) WithGroup(string) slog.Handler            { return f }
func (f onWarning) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		f(r.Message)
	}
	return nil
}

func TestStopBoundHasRoomForTheLongestHandOver(t *testing.T) {
	const longestInterval = 40950 * time.Millisecond
	if handover := 3*longestInterval + time.Second; directorStop < handover+10*time.Second {
		t.Errorf("the director has %v to stop, but a hand-over may take %v and the rest another 10s", directorStop, handover)
	}
}
