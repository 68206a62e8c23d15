package guest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

// conversation is what a guest would send.
type conversation struct{ bytes.Buffer }

func (c *conversation) add(t *testing.T, kind wire.Kind, v any) *conversation {
	t.Helper()
	var err error
	if text, ok := v.(string); ok {
		err = wire.Write(c, kind, []byte(text))
	} else {
		err = wire.WriteJSON(c, kind, v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newSession(t *testing.T, stdout, stderr io.Writer) *session {
	t.Helper()
	o, err := Options{Stdout: stdout, Stderr: stderr}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	steps := []Step{{Name: "first"}, {Name: "second", Timeout: time.Second}}
	s := &session{options: o, steps: steps, plan: o.plan(steps), end: func(error) {}}
	t.Cleanup(func() { s.within(0, nil) })
	return s
}

func TestConverseCollectsOutputAndResults(t *testing.T) {
	var c conversation
	c.add(t, wire.KindReady, wire.Ready{}).
		add(t, wire.KindStart, wire.Start{Step: 0}).
		add(t, wire.KindStdout, "\x1b[1mone\r").
		add(t, wire.KindStderr, "two\n").
		add(t, wire.KindExit, wire.Exit{Step: 0, Status: 3}).
		add(t, wire.KindStart, wire.Start{Step: 1}).
		add(t, wire.KindStdout, "three").
		add(t, wire.KindExit, wire.Exit{Step: 1, Signal: 9, TimedOut: true, Took: 2 * time.Second}).
		add(t, wire.KindDone, "")
	var stdout, stderr bytes.Buffer
	s := newSession(t, &stdout, &stderr)
	if err := s.converse(&c); err != nil {
		t.Fatal(err)
	}
	want := []Result{{Name: "first", Status: 3}, {Name: "second", Signal: 9, TimedOut: true, Took: 2 * time.Second}}
	if diff := cmp.Diff(want, s.results); diff != "" {
		t.Errorf("unexpected results (-want +got)\n%s", diff)
	}
	if got := stdout.String() + "|" + stderr.String(); got != "\x1b[1mone\rthree|two\n" {
		t.Errorf("output %q", got)
	}
}

func TestConverseRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		build func(*testing.T, *conversation)
		want  error
	}{
		"an early end": {func(t *testing.T, c *conversation) { c.add(t, wire.KindReady, wire.Ready{}) }, io.EOF},
		"done without results": {func(t *testing.T, c *conversation) {
			c.add(t, wire.KindReady, wire.Ready{}).add(t, wire.KindDone, "")
		}, wire.ErrMalformed},
		"a step out of turn": {func(t *testing.T, c *conversation) { c.add(t, wire.KindStart, wire.Start{Step: 1}) }, wire.ErrMalformed},
		"a negative step":    {func(t *testing.T, c *conversation) { c.add(t, wire.KindExit, wire.Exit{Step: -1}) }, wire.ErrMalformed},
		"a step too many": {func(t *testing.T, c *conversation) {
			c.add(t, wire.KindExit, wire.Exit{Step: 0}).add(t, wire.KindExit, wire.Exit{Step: 1}).add(t, wire.KindExit, wire.Exit{Step: 2})
		}, wire.ErrMalformed},
		"what is not JSON": {func(t *testing.T, c *conversation) { c.add(t, wire.KindReady, "{") }, wire.ErrMalformed},
		"a clock that is fast": {func(t *testing.T, c *conversation) {
			c.add(t, wire.KindReady, wire.Ready{Clock: time.Second}).add(t, wire.KindExit, wire.Exit{Step: 0, Clock: 11 * time.Second})
		}, ErrClock},
	} {
		t.Run(name, func(t *testing.T) {
			var c conversation
			test.build(t, &c)
			s := newSession(t, nil, nil)
			s.readyAt = time.Now()
			if err := s.converse(&c); !errors.Is(err, test.want) {
				t.Errorf("converse = %v, want %v", err, test.want)
			}
		})
	}
}

func TestClockMayBeSlowButNotFast(t *testing.T) {
	for _, test := range []struct {
		host, guest time.Duration
		want        error
	}{
		{10 * time.Second, 10 * time.Second, nil},
		{10 * time.Second, 4 * time.Second, nil},
		{10 * time.Second, 11500 * time.Millisecond, nil},
		{10 * time.Second, 11600 * time.Millisecond, ErrClock},
		{0, 400 * time.Millisecond, nil},
	} {
		if err := checkClock(test.host, test.guest); !errors.Is(err, test.want) {
			t.Errorf("checkClock(%v, %v) = %v, want %v", test.host, test.guest, err, test.want)
		}
	}
}

func TestExplainNamesTheReasonAndQuotesTheLog(t *testing.T) {
	for name, test := range map[string]struct {
		log   string
		err   error
		ready bool
		want  error
		text  string
	}{
		"panic":          {"[1.0] one\r\n[2.0] Kernel panic - not syncing: sysrq triggered crash\r\n", io.EOF, true, ErrPanic, "guest kernel panicked: sysrq triggered crash"},
		"QEMU ended":     {"", io.EOF, false, ErrBoot, "guest did not boot: QEMU ended"},
		"stopped":        {"last\n", io.ErrUnexpectedEOF, true, ErrStopped, ErrStopped.Error()},
		"other failures": {"", ErrHung, true, ErrHung, ErrHung.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			m := &machine{log: newTail(1000), said: newTail(1000)}
			_, _ = m.log.Write([]byte(test.log))
			_, _ = m.said.Write([]byte("qemu: a word\n"))
			err := m.explain(test.err, test.ready)
			want := test.text + "\n\tqemu: a word"
			if test.log != "" {
				want += "\nthe end of its kernel log:"
				for line := range strings.FieldsFuncSeq(test.log, func(r rune) bool { return r == '\n' || r == '\r' }) {
					want += "\n\t" + line
				}
			}
			if !errors.Is(err, test.want) || err.Error() != want {
				t.Errorf("explain = %q\nwant %q", err, want)
			}
		})
	}
}

func TestWithinReplacesTheDeadline(t *testing.T) {
	ctx, end := context.WithCancelCause(t.Context())
	s := &session{end: end}
	s.within(time.Nanosecond, ErrHung)
	<-ctx.Done()
	if context.Cause(ctx) != ErrHung {
		t.Errorf("cause = %v, want ErrHung", context.Cause(ctx))
	}
	s.within(0, nil)
	if s.deadline != nil {
		t.Error("the deadline is still there")
	}
}
