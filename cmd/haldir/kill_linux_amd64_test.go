package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/netif"
)

const killServices = `
[[service]]
name = "held"
listen = ["192.0.2.100:80"]
[[service.real]]
address = "192.0.2.1"

[[service]]
name = "redirected"
listen = ["192.0.2.100:81"]
receive = "redirect"
[[service.real]]
address = "192.0.2.1:8081"
`

// TestRealServerEndsRightAfterAKillAtAnySystemCall runs the commands as processes
// of their own, kills each at every system call that may change something, and has
// the next one finish or undo the work.
func TestRealServerEndsRightAfterAKillAtAnySystemCall(t *testing.T) {
	m := newMachine(t)
	m.config = write(t, strings.Replace(router, `"lo"`, `"lan"`, 1)+killServices)
	m.ns.Do(t, func() {
		if err := netif.WriteSysctl("net/ipv4/conf/lan/arp_announce", "1"); err != nil {
			t.Error(err)
		}
	})
	before := m.snapshot()
	apply := []string{"realserver", "apply", "-c", m.config, "--run-dir", m.runDir}
	verify := []string{"realserver", "verify", "-c", m.config, "--run-dir", m.runDir}
	remove := []string{"realserver", "remove", "--run-dir", m.runDir}
	for _, victim := range [][]string{apply, remove} {
		t.Run(victim[1], func(t *testing.T) {
			for at := 1; ; at++ {
				story := fmt.Sprintf("%s killed at the %dth system call", victim[1], at)
				if victim[1] == "remove" {
					m.must(t, story, apply)
				}
				killed := m.killAt(t, at, victim)
				m.hidden(t, story)
				if at%2 == 0 {
					m.must(t, story, apply)
					m.must(t, story, verify)
				}
				m.must(t, story, remove)
				if got := m.snapshot(); got != before {
					t.Fatalf("%s, then undone, the host is\n%s\nbefore it was\n%s", story, got, before)
				}
				if !killed {
					t.Logf("killed at each of %d system calls", at-1)
					if at < 25 {
						t.Errorf("%s made %d system calls, so not every one was tried", victim[1], at-1)
					}
					return
				}
			}
		})
	}
}

// must runs a command within this process, on a thread in the namespace.
func (m *machine) must(t *testing.T, story string, args []string) {
	t.Helper()
	m.ns.Do(t, func() {
		if status, out, errs := haldir(args...); status != exitDone {
			t.Errorf("%s, then %s: exit status %d: %s%s", story, args[1], status, out, errs)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
}

// hidden checks that the host does not answer for a VIP that it has.
func (m *machine) hidden(t *testing.T, story string) {
	t.Helper()
	state := m.snapshot()
	if !strings.Contains(state, "192.0.2.100/32") {
		return
	}
	for _, want := range []string{"net/ipv4/conf/lan/arp_ignore = 1", "net/ipv4/conf/lan/arp_announce = 2", "silences {Present:true Rules:[about 192.0.2.100]"} {
		if !strings.Contains(state, want) {
			t.Errorf("%s, the segment can see the VIP: %s is not so", story, want)
		}
	}
}

// snapshot prints all that the commands change.
func (m *machine) snapshot() string {
	m.t.Helper()
	var lines []string
	m.ns.Do(m.t, func() {
		paths, err := filepath.Glob("/proc/sys/net/ipv4/conf/*/*")
		if err != nil {
			m.t.Error(err)
		}
		for _, path := range paths {
			name := strings.TrimPrefix(path, "/proc/sys/")
			if value, err := netif.ReadSysctl(name); err == nil { // one is for writing only
				lines = append(lines, name+" = "+value)
			}
		}
		present, err := netif.NewAddresses().Read(context.Background())
		if err != nil {
			m.t.Error(err)
		}
		for _, p := range present {
			if p.Prefix.Addr().Is4() {
				lines = append(lines, fmt.Sprintf("%s tag %d", p.Address, p.Proto))
			}
		}
		redirects, err := netif.ReadRedirects(context.Background())
		if err != nil {
			m.t.Error(err)
		}
		clamps, err := netif.ReadClamps(context.Background())
		if err != nil {
			m.t.Error(err)
		}
		silences, err := netif.ReadSilences(context.Background())
		if err != nil {
			m.t.Error(err)
		}
		lines = append(lines, fmt.Sprintf("redirects %+v", redirects), fmt.Sprintf("clamps %+v", clamps), fmt.Sprintf("silences %+v", silences))
	})
	left, err := os.ReadDir(m.runDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Error(err)
	}
	for _, entry := range left {
		if entry.Name() != realserverLock {
			lines = append(lines, "left in the run directory: "+entry.Name())
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// changing are the system calls by which a program changes what is outside of it.
var changing = map[uint64]bool{
	unix.SYS_WRITE: true, unix.SYS_WRITEV: true, unix.SYS_PWRITE64: true,
	unix.SYS_SENDTO: true, unix.SYS_SENDMSG: true, unix.SYS_SENDMMSG: true,
	unix.SYS_RENAME: true, unix.SYS_RENAMEAT: true, unix.SYS_RENAMEAT2: true,
	unix.SYS_UNLINK: true, unix.SYS_UNLINKAT: true, unix.SYS_MKDIR: true, unix.SYS_MKDIRAT: true,
	unix.SYS_FTRUNCATE: true, unix.SYS_FSYNC: true,
}

// callInfo is the beginning of struct ptrace_syscall_info, with the entry's part.
type callInfo struct {
	op     uint8
	_      [3]byte
	arch   uint32
	ip, sp uint64
	nr     uint64
	args   [6]uint64
}

// enters reports whether a stopped thread is about to make a system call that
// changes something.
func enters(tid int) (bool, error) {
	const getSyscallInfo, entry = 0x420e, 1
	var info callInfo
	_, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, getSyscallInfo, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return false, errno
	}
	creates := info.nr == unix.SYS_OPENAT && info.args[2]&(unix.O_CREAT|unix.O_TRUNC) != 0
	return info.op == entry && (changing[info.nr] || creates), nil
}

// killAt runs haldir in the namespace and kills it as it enters the nth system
// call that changes something. It reports false where there are fewer.
func (m *machine) killAt(t *testing.T, nth int, args []string) (killed bool) {
	t.Helper()
	var err error
	// The thread that starts it is the one that traces it.
	m.ns.Do(t, func() { killed, err = traced(nth, args) })
	if err != nil {
		t.Fatalf("tracing haldir %s: %v", strings.Join(args, " "), err)
	}
	return killed
}

func traced(nth int, args []string) (killed bool, err error) {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), actVariable+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	pid := cmd.Process.Pid
	defer func() { _ = cmd.Process.Release() }()
	seen := 0
	for begun := false; ; {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return killed, fmt.Errorf("waiting: %w", err)
		}
		if status.Exited() || status.Signaled() {
			if tid != pid {
				continue // a thread
			}
			if !killed && status.ExitStatus() != exitDone {
				return false, fmt.Errorf("it ended with status %d, signal %v", status.ExitStatus(), status.Signal())
			}
			return killed, nil
		}
		signal := 0
		switch stop := status.StopSignal(); {
		case !begun:
			begun = true
			const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
			if err := unix.PtraceSetOptions(pid, options); err != nil {
				return false, fmt.Errorf("setting options: %w", err)
			}
		case stop == unix.SIGTRAP|0x80:
			counts, err := enters(tid)
			if err != nil && err != unix.ESRCH {
				return false, fmt.Errorf("reading a system call: %w", err)
			}
			if counts {
				seen++
			}
			if counts && seen == nth {
				killed = true
				if err := unix.Kill(pid, unix.SIGKILL); err != nil {
					return false, err
				}
			}
		case stop != unix.SIGTRAP && stop != unix.SIGSTOP:
			signal = int(stop) // the Go runtime sends itself some
		}
		if err := unix.PtraceSyscall(tid, signal); err != nil && err != unix.ESRCH {
			return false, fmt.Errorf("continuing: %w", err)
		}
	}
}
