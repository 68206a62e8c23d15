package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/process"
)

// ErrRunning and ErrNotRunning are wrapped by errors that say that a node's
// program is already, or is not, running.
var (
	ErrRunning    = errors.New("already running")
	ErrNotRunning = errors.New("not running")
)

// StartDirector starts "haldir run" on the node.
func (n *Node) StartDirector() error {
	if n.director.running() {
		return fmt.Errorf("starting the director of %s: %w", n.Name, ErrRunning)
	}
	argv := []string{n.cluster.options.Haldir, "run",
		"-c", n.cluster.ConfigPath, "--node", n.Name, "--run-dir", n.RunDir(), "--state-dir", n.StateDir()}
	argv = append(argv, n.cluster.options.Flags...)
	p, err := start(n.ns, "haldir run on "+n.Name, n.LogPath("haldir"), argv, nil, nil)
	if err != nil {
		return err
	}
	n.director = p
	return nil
}

// Running reports whether the node's supervisor is running.
func (n *Node) Running() bool { return n.director.running() }

// Ended is closed when the supervisor that was started last has ended.
func (n *Node) Ended() <-chan struct{} { return n.director.ended }

// StopDirector stops the node as an operator does, and waits for its end.
func (n *Node) StopDirector(ctx context.Context) error {
	if !n.director.running() {
		return fmt.Errorf("stopping the director of %s: %w", n.Name, ErrNotRunning)
	}
	if err := n.director.signal(syscall.SIGTERM); err != nil {
		return err
	}
	return n.director.wait(ctx)
}

// Status asks the node for its state.
func (n *Node) Status(ctx context.Context) (control.Status, error) {
	status, err := control.NewClient(filepath.Join(n.RunDir(), "haldir.sock")).Status(ctx)
	if err != nil {
		return status, fmt.Errorf("%s: %w", n.Name, err)
	}
	return status, nil
}

// Processes finds the node's processes in /proc: the supervisor and its children
// by their role. A role that is not running is absent.
func (n *Node) Processes() (map[process.Role]int, error) {
	found := map[process.Role]int{}
	if !n.director.running() {
		return found, nil
	}
	supervisor := n.director.cmd.Process.Pid
	found[process.Supervisor] = supervisor
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || parent(pid) != supervisor {
			continue
		}
		if role, ok := roleOf(pid); ok {
			found[role] = pid
		}
	}
	return found, nil
}

// parent returns the parent of a process, or 0 if there is none such or it is a
// zombie.
func parent(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name is in parentheses and may contain any character.
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:])
	if end < 0 || len(fields) < 2 || string(fields[0]) == "Z" {
		return 0
	}
	ppid, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return ppid
}

// roleOf reads the role of a child from its command line: "haldir internal-speaker".
func roleOf(pid int) (process.Role, bool) {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return "", false
	}
	for arg := range strings.SplitSeq(string(cmdline), "\x00") {
		switch role := process.Role(strings.TrimPrefix(arg, "internal-")); role {
		case process.Speaker, process.Director, process.Checker:
			return role, strings.HasPrefix(arg, "internal-")
		}
	}
	return "", false
}
