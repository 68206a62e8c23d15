package testenv

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// insideVariable marks the re-executed test process of Main.
const insideVariable = "HALDIR_TEST_INSIDE_NETNS"

// Main runs a package's tests inside a network namespace of their own: call
// it from TestMain as os.Exit(testenv.Main(m)). Every goroutine and child
// process of the tests is in that namespace, which vanishes with them. Without
// root the tests run where they are, and those that call Root skip.
func Main(m *testing.M) int {
	if os.Geteuid() != 0 || os.Getenv(insideVariable) != "" {
		if os.Getenv(insideVariable) != "" {
			if err := loopbackUp(); err != nil {
				println("setting lo up:", err.Error())
				return 1
			}
		}
		return m.Run()
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	// Pdeathsig is tied to the thread that starts the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	println("starting the tests in a namespace of their own:", err.Error())
	return 1
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// Netns is a network namespace that lives as long as its test.
type Netns struct {
	handle netns.NsHandle
}

// NewNetns makes a namespace with lo up. It skips the test without root.
func NewNetns(tb testing.TB) *Netns {
	tb.Helper()
	Root(tb)
	n := &Netns{}
	var err error
	onOwnThread(func() {
		if n.handle, err = netns.New(); err == nil {
			err = loopbackUp()
		}
	})
	if err != nil {
		tb.Fatalf("making a network namespace: %v", err)
	}
	tb.Cleanup(func() { _ = n.handle.Close() })
	return n
}

// Fd returns the descriptor of the namespace, valid until the test ends.
func (n *Netns) Fd() int { return int(n.handle) }

// Do runs fn on a thread inside the namespace. Sockets opened and processes
// started by fn itself belong to the namespace for ever; goroutines started by
// fn do not run in it.
func (n *Netns) Do(tb testing.TB, fn func()) {
	tb.Helper()
	var err error
	onOwnThread(func() {
		if err = netns.Set(n.handle); err == nil {
			fn()
		}
	})
	if err != nil {
		tb.Fatalf("entering a network namespace: %v", err)
	}
}

// onOwnThread runs fn on a thread that is thrown away afterwards, so that no
// other goroutine ever sees the namespace that fn switched to.
func onOwnThread(fn func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		fn()
	}()
	<-done
}
