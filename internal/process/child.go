package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

type child struct {
	Child
	cmd     *exec.Cmd
	backoff backoff
	retry   <-chan time.Time // when the next start is due; nil unless one waits
	died    time.Time        // the last death; zero before the first
}

type exit struct {
	role Role
	err  error
	at   time.Time
}

// start runs one role, for the first time or again.
func (s *supervisor) start(role Role) error {
	c := s.children[role]
	c.retry = nil
	cmd := s.Command(role)
	cmd.ExtraFiles = []*os.File{s.lifeline}
	for _, peer := range peers[role] {
		cmd.ExtraFiles = append(cmd.ExtraFiles, s.sockets[role][peer])
	}
	cmd.Env = append(cmd.Environ(), roleVariable+"="+string(role))
	if !c.died.IsZero() {
		cmd.Env = append(cmd.Env, DiedEnvironment(c.died))
	}
	// A terminal's Ctrl-C is for the supervisor alone, which stops in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	refused, err := startScheduled(cmd, role == Speaker)
	if err != nil {
		return fmt.Errorf("starting the %s: %w", role, err)
	}
	now := time.Now()
	if !c.died.IsZero() {
		c.Restarts++
		c.Down = now.Sub(c.died)
	}
	c.cmd, c.PID, c.Since = cmd, cmd.Process.Pid, now
	c.Scheduling = scheduling(c.PID)
	if refused != nil {
		c.Scheduling += fmt.Sprintf(" (real-time scheduling refused: %v)", refused)
		s.Log.Warn("real-time scheduling refused", "role", role, "error", refused)
	}
	s.Log.Debug("process started", "role", role, "pid", c.PID, "restarts", c.Restarts)
	go func() {
		err := cmd.Wait()
		s.exits <- exit{role, err, time.Now()}
	}()
	s.tell()
	return nil
}

// buried takes note of a death and returns how long the process lived.
func (s *supervisor) buried(e exit) time.Duration {
	c := s.children[e.role]
	life := e.at.Sub(c.Since)
	c.PID, c.Since, c.died, c.LastExit = 0, e.at, e.at, exitText(e.err)
	s.Log.Warn("process died", "role", e.role, "exit", c.LastExit, "lived", life.Round(time.Millisecond))
	return life
}

// restart starts a role again after a life of the given length, now or, when it
// keeps dying, after a delay.
func (s *supervisor) restart(c *child, life time.Duration) error {
	for {
		delay, looping := c.backoff.died(life)
		if looping && c.Role != Checker {
			return fmt.Errorf("the %s died %d times in a row (last: %s): %w", c.Role, c.backoff.unsettledLives, c.LastExit, ErrCrashLoop)
		}
		if delay > 0 {
			s.Log.Warn("process keeps dying", "role", c.Role, "restart_in", delay)
			c.retry = time.After(delay)
			s.tell()
			return nil
		}
		err := s.start(c.Role)
		if err == nil {
			return nil
		}
		// It counts as a life of no length: descriptors, memory or the file may
		// be there again in a moment.
		s.Log.Warn("restarting a process", "error", err)
		c.LastExit, life = err.Error(), 0
	}
}

// again makes the start that was put off.
func (s *supervisor) again(role Role) error {
	err := s.start(role)
	if err == nil {
		return nil
	}
	c := s.children[role]
	s.Log.Warn("restarting a process", "error", err)
	c.LastExit = err.Error()
	return s.restart(c, 0)
}

func (s *supervisor) signal(role Role, sig syscall.Signal) {
	if c := s.children[role]; c.PID != 0 {
		if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			s.Log.Warn("signalling a process", "role", role, "signal", sig, "error", err)
		}
	}
}

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}
