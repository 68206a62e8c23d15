package pid1

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

// quitGrace is what a program that ran out of time gets after SIGQUIT, on which
// a Go program prints its goroutines.
const quitGrace = 3 * time.Second

// runSteps runs the steps in order; a step that fails does not stop the others.
func runSteps(host *port, steps []wire.Step, release string) error {
	r := newReaper()
	for i, step := range steps {
		if err := host.json(wire.KindStart, wire.Start{Step: i}); err != nil {
			return err
		}
		exit := runStep(host, r, step, release)
		exit.Step, exit.Clock = i, clock()
		if err := host.json(wire.KindExit, exit); err != nil {
			return err
		}
	}
	return nil
}

// runStep runs one program, and ends whatever it leaves behind.
func runStep(host *port, r *reaper, step wire.Step, release string) wire.Exit {
	env := environment(release, step.Env)
	path, err := find(step, env)
	if err != nil {
		return wire.Exit{Problem: err.Error()}
	}
	out, err := newOutput(step.Terminal)
	if err != nil {
		return wire.Exit{Problem: err.Error()}
	}
	defer out.close()

	started := time.Now()
	pid, status, err := r.start(path, step.Args, &syscall.ProcAttr{
		Dir:   step.Dir,
		Env:   env,
		Files: []uintptr{out.stdin.Fd(), out.stdout.Fd(), out.stderr.Fd()},
		Sys:   out.attributes(),
	})
	if err != nil {
		return wire.Exit{Problem: fmt.Sprintf("starting %s: %v", path, err)}
	}
	copied := out.copyTo(host)
	exit := wait(pid, status, step.Timeout)
	exit.Took = time.Since(started)
	r.killAll()
	copied.Wait()
	return exit
}

// wait waits for a process group's leader, and ends the group at its time-out.
func wait(pid int, ended <-chan syscall.WaitStatus, timeout time.Duration) wire.Exit {
	var late <-chan time.Time
	if timeout > 0 {
		late = time.After(timeout)
	}
	var exit wire.Exit
	var status syscall.WaitStatus
	select {
	case status = <-ended:
	case <-late:
		exit.TimedOut = true
		_ = syscall.Kill(-pid, syscall.SIGQUIT)
		select {
		case status = <-ended:
		case <-time.After(quitGrace):
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			status = <-ended
		}
	}
	if status.Signaled() {
		exit.Signal = int(status.Signal())
	} else {
		exit.Status = status.ExitStatus()
	}
	return exit
}

// environment is what every program gets, overridden by extra.
func environment(release string, extra []string) []string {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
		wire.MarkVariable + "=" + release,
	}
	for _, e := range extra {
		key, _, _ := strings.Cut(e, "=")
		env = slices.DeleteFunc(env, func(old string) bool { return strings.HasPrefix(old, key+"=") })
		env = append(env, e)
	}
	return env
}

// find returns the program's path, and says it when there is no such program
// or no such working directory.
func find(step wire.Step, env []string) (string, error) {
	if len(step.Args) == 0 {
		return "", fmt.Errorf("step %q has no program", step.Name)
	}
	if step.Dir != "" {
		if info, err := os.Stat(step.Dir); err != nil || !info.IsDir() {
			return "", fmt.Errorf("working directory %s does not exist in the guest", step.Dir)
		}
	}
	program := step.Args[0]
	if strings.Contains(program, "/") {
		at := program
		if !filepath.IsAbs(at) {
			at = filepath.Join("/", step.Dir, at)
		}
		if _, err := os.Stat(at); err != nil {
			return "", fmt.Errorf("program %s does not exist in the guest", program)
		}
		return at, nil
	}
	for _, e := range env {
		path, ok := strings.CutPrefix(e, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(path) {
			at := filepath.Join(dir, program)
			if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return at, nil
			}
		}
	}
	return "", fmt.Errorf("program %s is not in the guest's PATH", program)
}
