package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/internal/script"
)

// Exec passes when a program ends with status 0. The program finds the target's
// address and port in HALDIR_ADDRESS and HALDIR_PORT, unless the address is the
// unspecified one. At the timeout it is
// killed with its whole process group.
type Exec struct {
	// Command is the absolute path of the program and its arguments. No shell
	// reads it.
	Command []string `json:"command,omitempty"`
	// User is who it runs as; it defaults to nobody.
	User string `json:"user,omitempty"`
	// ExitWeight has the exit status say the server's share of its weight too: 2
	// is none of it, 102 all of it, 255 is 253 percent. 0 leaves the weight as it
	// is, and 1 fails.
	ExitWeight bool `json:"exit_weight,omitempty"`
}

func (s Exec) checker() (Checker, error) {
	switch {
	case len(s.Command) == 0 || !filepath.IsAbs(s.Command[0]):
		return nil, errors.New("command: does not begin with the absolute path of a program")
	case slices.ContainsFunc(s.Command, func(word string) bool { return strings.ContainsRune(word, 0) }):
		return nil, errors.New("command: has a NUL character")
	case strings.ContainsAny(s.User, ":\x00\n"):
		return nil, fmt.Errorf("user %q: not a user's name", shorten(s.User))
	}
	if s.User == "" {
		s.User = "nobody"
	}
	return s.run, nil
}

func (s Exec) run(ctx context.Context, _ time.Time, t Target) Result {
	r, output := s.once(ctx, t)
	r.Output = printable(output[:min(len(output), outputLimit)])
	return r
}

// once runs the program and returns what it said too.
func (s Exec) once(ctx context.Context, t Target) (Result, []byte) {
	var env []string
	if !t.Address.Addr().IsUnspecified() {
		env = []string{"HALDIR_ADDRESS=" + t.Address.Addr().String(), "HALDIR_PORT=" + strconv.Itoa(int(t.Address.Port()))}
	}
	got, err := script.Run(ctx, script.Command{Args: s.Command, User: s.User, Env: env})
	said, _, _ := strings.Cut(strings.TrimSpace(string(got.Output)), "\n")
	said = shorten(said)
	return s.judge(got, err, said), got.Output
}

func (s Exec) judge(got script.Result, err error, said string) Result {
	switch {
	case errors.Is(err, script.ErrNotStarted):
		return Result{Outcome: Inconclusive, Reason: ReasonCannot, Detail: shorten(err.Error())}
	case errors.Is(err, context.Canceled):
		return Result{Outcome: Inconclusive, Reason: ReasonCannot, Detail: "ended before its time"}
	case err != nil:
		return Result{Outcome: Fail, Reason: ReasonTimeout, Detail: withWords("killed", said)}
	case got.Signal != "":
		return Result{Outcome: Fail, Reason: ReasonExit, Detail: withWords("ended by a signal: "+got.Signal, said)}
	case s.ExitWeight && got.Exit >= 2:
		return Result{Outcome: Pass, Reason: ReasonAnswered, Detail: said, Share: Percent(got.Exit - 2)}
	case got.Exit != 0:
		return Result{Outcome: Fail, Reason: ReasonExit, Detail: withWords(fmt.Sprintf("exit status %d", got.Exit), said)}
	}
	return Result{Outcome: Pass, Reason: ReasonAnswered, Detail: said}
}

// withWords appends what the program said, if anything.
func withWords(what, said string) string {
	if said == "" {
		return what
	}
	return what + ": " + said
}
