package track

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
)

// Reasons of a process check.
const (
	ReasonRunning    healthcheck.Reason = "process running"
	ReasonNotRunning healthcheck.Reason = "process not running"
)

// Process passes while enough processes of a name run on this host.
type Process struct {
	// Name is the program's: the last part of what it was started as, or what the
	// kernel has as its name, of which 15 bytes are kept.
	Name string `json:"name"`
	// Arguments have to occur, one after the other, in the command line's words
	// joined by single spaces. Empty: any.
	Arguments string `json:"arguments,omitempty"`
	// AtLeast is how many there have to be; 0 counts as 1.
	AtLeast int `json:"at_least,omitempty"`
	// Root is where /proc is, for tests.
	Root string `json:"root,omitempty"`
}

// commLimit is how much of a name the kernel keeps.
const commLimit = 15

func (s Process) checker() (healthcheck.Checker, error) {
	if s.Name == "" || strings.ContainsAny(s.Name, "/\x00") {
		return nil, fmt.Errorf("process %q: not the name of a program", s.Name)
	}
	if s.Root == "" {
		s.Root = "/proc"
	}
	s.AtLeast = max(s.AtLeast, 1)
	return s.check, nil
}

func (s Process) check(ctx context.Context, _ time.Time, _ healthcheck.Target) healthcheck.Result {
	folder, err := os.Open(s.Root)
	if err != nil {
		return cannot(err)
	}
	defer func() { _ = folder.Close() }()
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return cannot(err)
	}
	found := 0
	for _, name := range names {
		if name == "" || name[0] < '1' || name[0] > '9' {
			continue
		}
		if ctx.Err() != nil {
			return cannot(errors.New("the list of processes could not be read in time"))
		}
		if s.matches(filepath.Join(s.Root, name)) {
			if found++; found == s.AtLeast {
				return healthcheck.Result{Outcome: healthcheck.Pass, Reason: ReasonRunning, Detail: "pid " + name}
			}
		}
	}
	return healthcheck.Result{Outcome: healthcheck.Fail, Reason: ReasonNotRunning, Detail: fmt.Sprintf("%d of %d", found, s.AtLeast)}
}

// matches reports whether the process of a folder is meant, and alive.
func (s Process) matches(folder string) bool {
	comm, err := os.ReadFile(filepath.Join(folder, "comm"))
	if err != nil {
		return false // it has ended meanwhile
	}
	line, err := os.ReadFile(filepath.Join(folder, "cmdline"))
	if err != nil {
		return false
	}
	words := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	kept := string(bytes.TrimRight(comm, "\n"))
	switch {
	case filepath.Base(words[0]) == s.Name:
	case len(s.Name) <= commLimit && kept == s.Name:
	// A script: its interpreter comes first.
	case len(words) > 1 && filepath.Base(words[1]) == s.Name && s.Name[:min(len(s.Name), commLimit)] == kept:
	default:
		return false
	}
	if s.Arguments != "" && !strings.Contains(" "+strings.Join(words[1:], " ")+" ", " "+s.Arguments+" ") {
		return false
	}
	// What has ended and waits for its parent does no work.
	stat, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return false
	}
	_, rest, ok := bytes.Cut(stat[max(bytes.LastIndexByte(stat, ')'), 0):], []byte(") "))
	return ok && len(rest) > 0 && rest[0] != 'Z' && rest[0] != 'X'
}
