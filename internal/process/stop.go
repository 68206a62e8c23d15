package process

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// Bounds of a planned stop.
const (
	// directorStop has room for a hand-over at the longest interval, three
	// times 40.95 s and a second, and for what the director does after it.
	directorStop = 140 * time.Second
	othersStop   = 5 * time.Second
)

// stop ends the director first, since it orchestrates the hand-over, then the
// others, and cleans up if the director did not end as asked.
func (s *supervisor) stop() error {
	clean := s.endDirector()
	// Without a director the speaker itself resigns before it ends.
	s.endOthers()
	if clean || s.Cleanup == nil {
		return nil
	}
	if err := s.Cleanup(context.Background()); err != nil {
		return fmt.Errorf("cleaning up: %w", err)
	}
	return nil
}

// endDirector reports whether the director ended as asked. Without a speaker
// there is nobody to hand over, and a director that waits for it would hold
// addresses which the peer has taken by then: it is killed, and the cleanup
// resigns instead.
func (s *supervisor) endDirector() bool {
	director, speaker := s.children[Director], s.children[Speaker]
	if director.PID == 0 {
		return false
	}
	if speaker.PID != 0 {
		s.signal(Director, syscall.SIGTERM)
	}
	bound := time.NewTimer(s.directorStop)
	defer bound.Stop()
	for {
		if speaker.PID == 0 {
			s.signal(Director, syscall.SIGKILL)
		}
		select {
		case e := <-s.exits:
			s.buriedInStop(e)
			if e.role == Director {
				return e.err == nil
			}
		case <-bound.C:
			s.Log.Error("the director did not stop in time", "bound", s.directorStop)
			s.signal(Director, syscall.SIGKILL)
		}
	}
}

// endOthers asks speaker and checker to end, and after the bound kills them.
func (s *supervisor) endOthers() {
	s.signal(Speaker, syscall.SIGTERM)
	s.signal(Checker, syscall.SIGTERM)
	bound := time.NewTimer(s.othersStop)
	defer bound.Stop()
	for s.children[Speaker].PID != 0 || s.children[Checker].PID != 0 {
		select {
		case e := <-s.exits:
			s.buriedInStop(e)
		case <-bound.C:
			s.signal(Speaker, syscall.SIGKILL)
			s.signal(Checker, syscall.SIGKILL)
		}
	}
}

// buriedInStop takes note of an end that is not followed by a restart.
func (s *supervisor) buriedInStop(e exit) {
	s.children[e.role].PID = 0
	if e.err != nil {
		s.Log.Warn("process did not end well", "role", e.role, "exit", exitText(e.err))
	}
}
