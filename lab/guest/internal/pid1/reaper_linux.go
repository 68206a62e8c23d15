package pid1

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// reaper starts processes and waits for all of them, also for the orphans that
// the kernel gives to process 1. Waiting is done here alone: package os would
// wait for its own children only, and wait4 for any child would steal those.
type reaper struct {
	mu      sync.Mutex
	waiting map[int]chan<- syscall.WaitStatus
}

// newReaper starts to reap whenever a child ends, for the life of the process.
func newReaper() *reaper {
	r := &reaper{waiting: map[int]chan<- syscall.WaitStatus{}}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		for range ended {
			r.reap()
		}
	}()
	return r
}

// start starts a process; the channel gets its status, once.
func (r *reaper) start(path string, argv []string, attr *syscall.ProcAttr) (int, <-chan syscall.WaitStatus, error) {
	// The lock keeps reap away until the process is known.
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return 0, nil, err
	}
	status := make(chan syscall.WaitStatus, 1)
	r.waiting[pid] = status
	return pid, status, nil
}

// reap collects every child that has ended, and reports whether none is left.
func (r *reaper) reap() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return true
		case pid == 0:
			return false
		default:
			if waiting, ok := r.waiting[pid]; ok {
				delete(r.waiting, pid)
				waiting <- status
			}
		}
	}
}

// killAll ends every process but this one, and waits until they are gone.
func (r *reaper) killAll() {
	for {
		_ = syscall.Kill(-1, syscall.SIGKILL)
		if r.reap() {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
