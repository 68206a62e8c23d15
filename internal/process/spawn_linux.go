package process

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// realtimePriority is low among the real-time priorities: above all ordinary
// processes is enough, and kernel threads stay ahead.
const realtimePriority = 10

// socketPair returns two connected SOCK_SEQPACKET sockets.
func socketPair(name string) (*os.File, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

// startScheduled starts cmd, under SCHED_RR if realtime is set and the kernel
// permits it; refused says why it did not. The policy is set on the thread that
// forks, so the child has it from its first instruction.
func startScheduled(cmd *exec.Cmd, realtime bool) (refused, err error) {
	if !realtime {
		return nil, cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return err, cmd.Start()
	}
	refused = unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: realtimePriority,
	}, 0)
	err = cmd.Start()
	if refused != nil {
		return refused, err
	}
	if back := unix.SchedSetAttr(0, before, 0); back != nil && err == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("returning to ordinary scheduling: %w", back)
	}
	return nil, err
}

// scheduling reads the policy of a process from the kernel.
func scheduling(pid int) string {
	attr, err := unix.SchedGetAttr(pid, 0)
	switch {
	case err != nil:
		return fmt.Sprintf("unknown (%v)", err)
	case attr.Policy == unix.SCHED_RR:
		return fmt.Sprintf("round robin, real-time priority %d", attr.Priority)
	case attr.Policy == unix.SCHED_FIFO:
		return fmt.Sprintf("fifo, real-time priority %d", attr.Priority)
	}
	return fmt.Sprintf("ordinary, nice %d", attr.Nice)
}
