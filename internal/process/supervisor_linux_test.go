package process

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestKilledProcessIsFollowedByAnotherOnTheSameLinks(t *testing.T) {
	for _, victim := range []Role{Speaker, Director, Checker} {
		t.Run(string(victim), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.play()
			before := s.started(victim)
			kill(t, before[0])
			next := s.successor(victim, before...)
			for _, peer := range peers[victim] {
				if peer != Supervisor {
					s.met(peer, victim)
				}
			}
			c := s.told("the director to be told of the successor", victim, func(c Child) bool { return c.PID == next })
			if c.Restarts != 1 || c.LastExit != "signal: killed" || c.Down <= 0 || c.Since.IsZero() {
				t.Errorf("the director was told %+v, want one restart after a kill, and how long the role was down", c)
			}
			for _, role := range []Role{Speaker, Director, Checker} {
				if n := len(s.started(role)); role != victim && n != 1 {
					t.Errorf("the %s was started %d times, want once", role, n)
				}
			}
			if lost := s.all(func(e event) bool { return e.What == "link ended" }); len(lost) > 0 {
				t.Errorf("the death of the %s was a hang-up for others: %v", victim, lost)
			}
		})
	}
}

func TestSuccessorKnowsHowLongItsRoleWasDown(t *testing.T) {
	s := newStage(t)
	speaker, _, _ := s.play()
	hello := func(pid int) Hello {
		var h Hello
		s.wait("a hello", func(e event) bool {
			m := Message{Kind: e.Kind, Body: e.Body}
			return e.Role == Director && e.Peer == Speaker && e.Kind == KindHello && m.Decode(&h) == nil && h.PID == pid
		})
		return h
	}
	if h := hello(speaker); h.Down != 0 {
		t.Errorf("the first speaker says that its role was down for %v", h.Down)
	}
	kill(t, speaker)
	if h := hello(s.successor(Speaker, speaker)); h.Down <= 0 || h.Down > patience {
		t.Errorf("the successor says that its role was down for %v, want the time since the kill", h.Down)
	}
}

func TestDirectorIsToldOfEverybody(t *testing.T) {
	s := newStage(t)
	began := time.Now()
	speaker, director, checker := s.play()
	e := s.wait("the director to be told", func(e event) bool {
		return e.Kind == KindChildren && strings.Count(string(e.Body), `"pid":0`) == 0
	})
	told := childrenOf(t, e)
	if told.Supervisor != os.Getpid() || told.Since.Before(began.Add(-patience)) || told.Since.After(time.Now()) {
		t.Errorf("the supervisor is told to be %d since %v, want %d since %v", told.Supervisor, told.Since, os.Getpid(), began)
	}
	var pids []int
	for _, c := range told.Children {
		pids = append(pids, c.PID)
		// A terminal's Ctrl-C must not reach it.
		if group, err := syscall.Getpgid(c.PID); err != nil || group != c.PID {
			t.Errorf("the %s is in process group %d (%v), want one of its own", c.Role, group, err)
		}
		if c.Restarts != 0 || c.LastExit != "" || c.Since.Before(began) || c.Scheduling == "" {
			t.Errorf("told of a child that just started: %+v", c)
		}
	}
	if want := []int{speaker, director, checker}; !slices.Equal(pids, want) {
		t.Errorf("told of processes %v, want %v", pids, want)
	}
}

func TestReloadReachesTheDirectorAlone(t *testing.T) {
	s := newStage(t)
	_, director, _ := s.play()
	s.reload <- syscall.SIGHUP
	s.wait("the signal", func(e event) bool { return e.What == "hup" && e.PID == director })
	s.ask()
	if err := s.ended(); err != nil {
		t.Error(err)
	}
	if all := s.all(func(e event) bool { return e.What == "hup" }); len(all) != 1 {
		t.Errorf("the signal reached %v, want the director alone", all)
	}
}

func TestEveryHelloOfTheDirectorIsAnswered(t *testing.T) {
	s := newStage(t)
	s.play()
	told := func() int { return len(s.all(func(e event) bool { return e.Kind == KindChildren })) }
	for range 8 { // more than the starts are told of
		before := told()
		s.reload <- syscall.SIGHUP // has the actor say hello
		s.wait("an answer", func(e event) bool { return e.Kind == KindChildren && told() > before })
	}
}

// looping returns a command that ends at once with status 1, as often as it is
// asked for.
func looping() (*exec.Cmd, bool) { return exec.Command("false"), true }

// missing returns a command that cannot be started.
func missing() (*exec.Cmd, bool) { return exec.Command("/nonexistent/haldir"), true }

func TestCrashLoopEndsTheNode(t *testing.T) {
	for _, victim := range []Role{Speaker, Director} {
		t.Run(string(victim), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.commands[victim] = looping
			s.begin()
			err := s.ended()
			if !errors.Is(err, ErrCrashLoop) {
				t.Errorf("the supervisor ended with %v, want %v", err, ErrCrashLoop)
			}
			for _, part := range []string{string(victim), "exit status 1"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the supervisor ended with %q, which does not say %q", err, part)
				}
			}
			s.wantCleanup(true)
			s.wantNobody("the supervisor ended")
		})
	}
}

func TestCrashLoopOfTheCheckerIsBorne(t *testing.T) {
	s := newStage(t)
	s.commands[Checker] = looping
	s.begin()
	s.successor(Speaker)
	s.successor(Director)
	s.told("more deaths than make a crash loop", Checker, func(c Child) bool { return c.Restarts > crashLoop })
	s.told("a checker that waits", Checker, func(c Child) bool { return c.PID == 0 && c.LastExit == "exit status 1" })
	s.ask()
	if err := s.ended(); err != nil {
		t.Errorf("the supervisor ended with %v, want a planned stop", err)
	}
	s.wantCleanup(false)
}

func TestStartThatFailsOnceIsMadeAgain(t *testing.T) {
	for _, victim := range []Role{Speaker, Director, Checker} {
		t.Run(string(victim), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			var asked atomic.Int32
			const failing = 4 // some at once, some after a delay
			s.commands[victim] = func() (*exec.Cmd, bool) {
				if n := asked.Add(1); n > 1 && n <= 1+failing {
					return missing()
				}
				return nil, false
			}
			s.play()
			before := s.started(victim)
			kill(t, before[0])
			next := s.successor(victim, before...)
			s.told("the successor", victim, func(c Child) bool { return c.PID == next && c.Restarts == 1 })
			s.told("why there was none", victim, func(c Child) bool {
				return c.PID == 0 && strings.Contains(c.LastExit, "starting the "+string(victim)) && strings.Contains(c.LastExit, "no such file")
			})
			if n := asked.Load(); n != 2+failing {
				t.Errorf("%d starts were tried, want %d", n, 2+failing)
			}
		})
	}
}

func TestStartThatFailsForEverEndsTheNode(t *testing.T) {
	s := newStage(t)
	var first atomic.Bool
	s.commands[Director] = func() (*exec.Cmd, bool) {
		if first.CompareAndSwap(false, true) {
			return nil, false
		}
		return missing()
	}
	_, director, _ := s.play()
	kill(t, director)
	if err := s.ended(); !errors.Is(err, ErrCrashLoop) {
		t.Errorf("the supervisor ended with %v, want %v", err, ErrCrashLoop)
	}
	s.wantCleanup(true)
}

func TestFirstStartThatFailsEndsTheNodeAtOnce(t *testing.T) {
	s := newStage(t)
	s.commands[Director] = missing
	s.begin()
	if err := s.ended(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "starting the director") {
		t.Errorf("the supervisor ended with %v, want what kept the director from starting", err)
	}
	s.wantNobody("the supervisor ended")
}
