package guest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

// grace is what the guest gets beyond a step's time-out, to end the step itself
// and say so, before the host takes it for hung.
const grace = 30 * time.Second

// session is one boot: it reads the guest's frames and watches its deadlines.
type session struct {
	options Options
	steps   []Step
	plan    wire.Plan
	kernel  Kernel
	end     context.CancelCauseFunc // ends the guest

	started  time.Time // by the host's clock
	ready    bool
	readyAt  time.Time     // by the host's clock
	guestAt  time.Duration // by the guest's, then
	results  []Result
	deadline *time.Timer
}

// run boots the guest and returns when it has ended.
func (s *session) run(parent context.Context, initrd *os.File) ([]Result, error) {
	ctx, end := context.WithCancelCause(parent)
	s.end = end
	defer end(nil)
	m := machine{
		argv:      s.options.qemu(s.kernel),
		initrd:    initrd,
		log:       newTail(64 << 10),
		said:      newTail(4 << 10),
		kernelLog: s.options.KernelLog,
	}
	s.started = time.Now()
	s.tell(Event{})
	s.within(s.options.BootTimeout, fmt.Errorf("%w within %v", ErrBoot, s.options.BootTimeout))
	defer s.within(0, nil)
	err := m.run(ctx, s.converse)
	switch {
	case err == nil:
		return s.results, nil
	case parent.Err() != nil:
		err = fmt.Errorf("running the guest: %w", context.Cause(parent))
	case ctx.Err() != nil:
		err = m.explain(context.Cause(ctx), s.ready)
	default:
		err = m.explain(err, s.ready)
	}
	if !s.ready {
		s.tell(Event{Done: true, Took: time.Since(s.started), Err: err})
	}
	return s.results, err
}

// tell fills in what is being done.
func (s *session) tell(e Event) {
	if s.options.Progress != nil {
		e.What = "booting Linux " + s.kernel.Release + " under QEMU"
		s.options.Progress(e)
	}
}

// within replaces the current deadline, after which the guest is ended for this
// reason; 0 is none.
func (s *session) within(d time.Duration, reason error) {
	if s.deadline != nil {
		s.deadline.Stop()
		s.deadline = nil
	}
	if d > 0 {
		s.deadline = time.AfterFunc(d, func() { s.end(reason) })
	}
}

// converse reads frames until the guest is done; io.EOF says that it ended
// before.
func (s *session) converse(frames io.Reader) error {
	frames = bufio.NewReaderSize(frames, wire.MaxPayload)
	for {
		kind, payload, err := wire.Read(frames)
		if err != nil {
			return err
		}
		switch kind {
		case wire.KindReady:
			err = s.onReady(payload)
		case wire.KindStart:
			err = s.onStart(payload)
		case wire.KindStdout:
			_, err = s.options.Stdout.Write(payload)
		case wire.KindStderr:
			_, err = s.options.Stderr.Write(payload)
		case wire.KindExit:
			err = s.onExit(payload)
		case wire.KindDone:
			if len(s.results) != len(s.steps) {
				return fmt.Errorf("%w: %d results of %d steps", wire.ErrMalformed, len(s.results), len(s.steps))
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) onReady(payload []byte) error {
	var ready wire.Ready
	if err := json.Unmarshal(payload, &ready); err != nil {
		return fmt.Errorf("%w: %w", wire.ErrMalformed, err)
	}
	s.ready, s.readyAt, s.guestAt = true, time.Now(), ready.Clock
	s.within(grace, fmt.Errorf("%w before its first program", ErrHung))
	s.tell(Event{Done: true, Took: time.Since(s.started)})
	return nil
}

func (s *session) onStart(payload []byte) error {
	var start wire.Start
	if err := s.expect(payload, &start, &start.Step); err != nil {
		return err
	}
	timeout := s.plan.Steps[start.Step].Timeout
	if timeout > 0 {
		timeout += grace
	}
	s.within(timeout, fmt.Errorf("%w: no sign of %s ending, %v after its start", ErrHung, s.name(start.Step), timeout))
	s.options.OnStart(s.steps[start.Step])
	return nil
}

func (s *session) onExit(payload []byte) error {
	var exit wire.Exit
	if err := s.expect(payload, &exit, &exit.Step); err != nil {
		return err
	}
	result := Result{
		Name: s.steps[exit.Step].Name, Status: exit.Status, Signal: syscall.Signal(exit.Signal),
		TimedOut: exit.TimedOut, Took: exit.Took, Problem: exit.Problem,
	}
	s.results = append(s.results, result)
	if err := checkClock(time.Since(s.readyAt), exit.Clock-s.guestAt); err != nil {
		return err
	}
	s.within(grace, fmt.Errorf("%w after %s", ErrHung, s.name(exit.Step)))
	s.options.OnResult(result)
	return nil
}

// checkClock compares what has passed by the host's and by the guest's clock.
// Frames may arrive late, so that the guest's seems slow; that it is fast has no
// innocent reason.
func checkClock(host, guest time.Duration) error {
	const slack = 500 * time.Millisecond
	if guest > host+host/10+slack {
		return fmt.Errorf("%w: %v passed by it in %v", ErrClock, guest.Round(time.Millisecond), host.Round(time.Millisecond))
	}
	return nil
}

// expect decodes a frame about a step, which must be the one that is next.
func (s *session) expect(payload []byte, into any, step *int) error {
	if err := json.Unmarshal(payload, into); err != nil {
		return fmt.Errorf("%w: %w", wire.ErrMalformed, err)
	}
	if *step != len(s.results) || *step >= len(s.steps) {
		return fmt.Errorf("%w: step %d out of turn", wire.ErrMalformed, *step)
	}
	return nil
}

func (s *session) name(step int) string {
	if name := s.steps[step].Name; name != "" {
		return name
	}
	if args := s.steps[step].Args; len(args) > 0 {
		return args[0]
	}
	return fmt.Sprintf("step %d", step)
}

// explain says why the guest failed, with the end of its log.
func (m *machine) explain(err error, ready bool) error {
	panicked := m.panicMessage()
	switch {
	case panicked != "":
		err = fmt.Errorf("%w: %s", ErrPanic, panicked)
	case errors.Is(err, io.EOF) && !ready:
		err = fmt.Errorf("%w: QEMU ended", ErrBoot)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = ErrStopped
	}
	text := m.said.quote(logLines)
	if log := m.log.quote(logLines); log != "" {
		text += "\nthe end of its kernel log:" + log
	}
	return fmt.Errorf("%w%s", err, text)
}
