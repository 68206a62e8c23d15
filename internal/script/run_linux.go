package script

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// outputWait is how long a process that left the group may hold up the end by
// keeping the output open.
const outputWait = 100 * time.Millisecond

// Run runs a program to its end, or until ctx ends: then its whole process group
// is killed and the error is that of ctx. What is left of the group when the
// program ends by itself is killed too. A process that makes itself a session of
// its own escapes.
func Run(ctx context.Context, c Command) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	if len(c.Args) == 0 {
		return Result{}, fmt.Errorf("%w: there is no command", ErrNotStarted)
	}
	output := &head{}
	cmd := &exec.Cmd{
		Path: c.Args[0], Args: c.Args, Env: append([]string{path}, c.Env...), Dir: "/",
		Stdout: output, Stderr: output, WaitDelay: outputWait,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	uid, gid, err := ids(c.User)
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrNotStarted, err)
	}
	if os.Geteuid() == 0 || int(uid) != os.Geteuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid, Groups: []uint32{}}
	}
	if err := cmd.Start(); err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrNotStarted, err)
	}
	group := cmd.Process.Pid
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		_ = unix.Kill(-group, unix.SIGKILL)
	})
	// The program is waited for but not reaped: its number stays its own until
	// the rest of its group is killed.
	for {
		if err = unix.Waitid(unix.P_PID, group, nil, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if !stop() {
		<-killed
	}
	_ = unix.Kill(-group, unix.SIGKILL)
	// The state says how it ended; an error repeats it or tells of the output.
	_ = cmd.Wait()
	result := Result{Exit: cmd.ProcessState.ExitCode(), Output: output.kept}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		result.Signal = status.Signal().String()
	}
	return result, ctx.Err()
}
