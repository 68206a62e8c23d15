package healthcheck

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// connector makes the check of nothing but the connection, of checkHandshake, for
// many targets at a time: a socket each, and neither a goroutine nor a timer. The
// standard dialer takes twice the time of the processor. It belongs to one goroutine.
type connector struct {
	poller  *poller
	flights map[int]flight // by socket
	armed   bool           // the poller has been asked to wake
}

// flight is a connection that is being made.
type flight struct {
	entry *entry
	begun time.Time
}

// connectLimit is how many connections may be under way: each is a descriptor, and
// half of what this process may have is left to others.
func connectLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return concurrency
	}
	return int(min(limit.Cur/2, 32<<10))
}

// connects reports whether a connector can check t.
func connects(t Target) bool {
	return t.Type == "tcp" && t.Options == "" && t.Mark == 0 && t.Address.Addr().Zone() == ""
}

func newConnector() (*connector, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &connector{poller: p, flights: make(map[int]flight)}, nil
}

// close gives up all checks. The nil connector has none.
func (c *connector) close() {
	if c == nil {
		return
	}
	for socket := range c.flights {
		_ = unix.Close(socket)
	}
	c.poller.close()
}

// begin begins a check at now. It returns false and the result where that is known
// at once.
func (c *connector) begin(now time.Time, e *entry) (under bool, r Result) {
	socket, err := c.connect(e.target)
	if err != nil {
		if socket >= 0 {
			_ = unix.Close(socket)
		}
		return false, connectResult(err)
	}
	c.flights[socket] = flight{e, now}
	e.socket = socket
	return true, Result{}
}

// connect returns the socket, -1 for none, also with an error.
func (c *connector) connect(t Target) (socket int, err error) {
	family, to := unix.AF_INET, unix.Sockaddr(nil)
	switch a := t.Address.Addr().Unmap(); {
	case a.Is4():
		to = &unix.SockaddrInet4{Addr: a.As4(), Port: int(t.Address.Port())}
	default:
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Addr: a.As16(), Port: int(t.Address.Port())}
	}
	socket, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	if err := resetOnClose(uintptr(socket)); err != nil {
		return socket, err
	}
	if err := unix.Connect(socket, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return socket, err
	}
	return socket, c.poller.add(socket, unix.EPOLLOUT)
}

// end gives up the check of e.
func (c *connector) end(e *entry) {
	delete(c.flights, e.socket)
	_ = unix.Close(e.socket)
}

// each calls f for the checks that have ended by now.
func (c *connector) each(f func(e *entry, begun time.Time, r Result)) {
	if c == nil || len(c.flights) == 0 {
		return
	}
	c.poller.each(func(socket int, events uint32) {
		under := c.flights[socket]
		r := Result{Outcome: Pass, Reason: ReasonConnected}
		if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			errno, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_ERROR)
			if err == nil && errno != 0 {
				err = unix.Errno(errno)
			}
			if err != nil {
				r = connectResult(err)
			}
		}
		c.end(under.entry)
		f(under.entry, under.begun, r)
	})
}

// wake has ready receive when a check that is under way has ended.
func (c *connector) wake() {
	if c != nil && len(c.flights) > 0 && !c.armed {
		c.armed = true
		c.poller.wake()
	}
}

// ready receives after wake.
func (c *connector) ready() <-chan struct{} {
	if c == nil {
		return nil
	}
	return c.poller.ready
}

// woken takes note that ready has received.
func (c *connector) woken() { c.armed = false }
