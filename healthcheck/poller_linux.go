package healthcheck

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller tells which of many sockets are ready, by one epoll instance. That is
// itself a descriptor of the runtime's poller, so that waiting takes a goroutine
// and no thread.
type poller struct {
	fd     int
	file   *os.File // owns fd
	raw    syscall.RawConn
	events []unix.EpollEvent
	arm    chan struct{}
	ready  chan struct{}
	done   chan struct{}
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating an epoll instance: %w", err)
	}
	// The runtime takes on what does not block; epoll_wait is asked not to.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing an epoll instance: %w", err), unix.Close(fd))
	}
	p := &poller{
		fd: fd, file: os.NewFile(uintptr(fd), "epoll"), events: make([]unix.EpollEvent, 256),
		arm: make(chan struct{}, 1), ready: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing an epoll instance: %w", err), p.file.Close())
	}
	go p.watch()
	return p, nil
}

// watch waits for a socket to be ready each time that it is asked to.
func (p *poller) watch() {
	for {
		select {
		case <-p.done:
			return
		case <-p.arm:
		}
		err := p.raw.Read(func(uintptr) bool {
			// What was ready before the waiting began wakes nobody.
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, 0)
			return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
		})
		if err != nil {
			return // closed
		}
		p.ready <- struct{}{}
	}
}

// close ends the waiting. Sockets stay open.
func (p *poller) close() {
	close(p.done)
	_ = p.file.Close()
}

// wake has ready receive once when a socket is ready. It may be called again
// after that.
func (p *poller) wake() { p.arm <- struct{}{} }

// add has the poller watch a socket until it is closed.
func (p *poller) add(socket int, events uint32) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, socket, &unix.EpollEvent{Events: events, Fd: int32(socket)})
}

// each calls f for the sockets that are ready now; f closes them.
func (p *poller) each(f func(socket int, events uint32)) {
	for {
		n, err := unix.EpollWait(p.fd, p.events, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		for _, e := range p.events[:max(n, 0)] {
			f(int(e.Fd), e.Events)
		}
		if n < len(p.events) {
			return
		}
	}
}
