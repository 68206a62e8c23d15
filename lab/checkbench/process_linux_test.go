package checkbench

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/checker"
	"github.com/haldir-lb/haldir/internal/process"
)

// checkerProcess is a checker as the supervisor starts it, with the director's
// end of its link.
type checkerProcess struct {
	observed
	director *process.Conn
}

// binary is the program that make built.
func binary(b *testing.B) string {
	b.Helper()
	name := os.Getenv("HALDIR_BINARY")
	if name == "" {
		b.Skip("HALDIR_BINARY names no program to measure")
	}
	return name
}

// startChecker starts a checker; environment is added to its own.
func startChecker(b *testing.B, environment ...string) *checkerProcess {
	b.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "director"), os.NewFile(uintptr(pair[1]), "checker")
	read, write, err := os.Pipe() // the lifeline
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(binary(b), "internal-checker")
	cmd.Env = append(append(os.Environ(), "HALDIR_ROLE=checker"), environment...)
	cmd.ExtraFiles = []*os.File{read, theirs}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	_, _ = read.Close(), theirs.Close()
	link, err := process.NewConn(ours, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	c := &checkerProcess{observed: observed{tb: b, pid: cmd.Process.Pid}, director: link}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		_ = cmd.Wait()
		_ = link.Close()
		_ = write.Close()
	})
	return c
}

// check gives the checker its targets; what it says is dropped.
func (c *checkerProcess) check(targets []healthcheck.Target) {
	c.tb.Helper()
	if err := c.director.Send(checker.KindTargets, "", checker.Targets{Targets: targets}); err != nil {
		c.tb.Fatal(err)
	}
	go func() {
		for range c.director.Receive() {
		}
	}()
}

// targetsAt are checks of the addresses of a farm.
func targetsAt(f *farm, kind string, options healthcheck.Options, every time.Duration) []healthcheck.Target {
	targets := make([]healthcheck.Target, len(f.visits))
	for i := range targets {
		at := netipAddrPort(i, f.port)
		targets[i] = healthcheck.Target{
			ID: kind + " " + at.String(), Type: kind, Options: options, Address: at,
			Every: every, Timeout: min(every, 5*time.Second), Rise: 2, Fall: 3,
		}
	}
	return targets
}

// observed is a process that is looked at from outside.
type observed struct {
	tb  testing.TB
	pid int
}

// cpu is how much time the process has had, in user and kernel.
func (o observed) cpu() time.Duration {
	o.tb.Helper()
	// The name, in parentheses, may have spaces.
	_, rest, _ := strings.Cut(o.file("stat"), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		o.tb.Fatalf("/proc/%d/stat is short: %q", o.pid, rest)
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100) // USER_HZ is 100 on every architecture that Go knows
}

// resident is the memory of the process, in bytes.
func (o observed) resident() int64 {
	o.tb.Helper()
	_, rest, _ := strings.Cut(o.file("status"), "VmRSS:")
	kilobytes, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kilobytes << 10
}

// descriptors counts what the process has open.
func (o observed) descriptors() int {
	o.tb.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", o.pid))
	if err != nil {
		o.tb.Fatal(err)
	}
	return len(open)
}

func (o observed) file(name string) string {
	o.tb.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(o.pid), name))
	if err != nil {
		o.tb.Fatal(err)
	}
	return string(text)
}
