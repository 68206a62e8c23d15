package vrrpsock

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/vrrp"
)

// quiet is a socket outside of the runtime's poller, which asks to be woken for
// room to send as well: the kernel would do so for every single advert that left,
// which costs as much as sending it. An epoll instance of its own says when there
// is something to receive, and the runtime polls that.
type quiet struct {
	socket *os.File
	ready  *os.File
	poll   syscall.RawConn // of ready
}

// newQuiet takes the socket over from conn, which is closed.
func newQuiet(conn *net.IPConn) (q *quiet, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if e := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if err := errors.Join(conn.Close(), unix.SetNonblock(fd, false)); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	// A descriptor that blocks is one that the runtime does not poll. No call on it
	// does block: each says MSG_DONTWAIT.
	q = &quiet{socket: os.NewFile(uintptr(fd), "VRRP socket")}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("epoll_create1", err), q.socket.Close())
	}
	err = errors.Join(
		os.NewSyscallError("epoll_ctl", unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN})),
		unix.SetNonblock(epoll, true))
	q.ready = os.NewFile(uintptr(epoll), "VRRP socket's events")
	if err == nil {
		q.poll, err = q.ready.SyscallConn()
	}
	if err != nil {
		return nil, errors.Join(err, q.close())
	}
	return q, nil
}

// packets returns the socket as what sends packets of a family. The closed conn is
// there for its type and its addresses.
func (q *quiet) packets(conn *net.IPConn, family vrrp.Family) packetConn {
	if family == vrrp.IPv4 {
		return ipv4.NewPacketConn(unpolled{conn, q.socket})
	}
	return ipv6.NewPacketConn(unpolled{conn, q.socket})
}

// unpolled is an IPConn with the descriptor of another file.
type unpolled struct {
	*net.IPConn
	socket *os.File
}

func (u unpolled) SyscallConn() (syscall.RawConn, error) {
	raw, err := u.socket.SyscallConn()
	return writer{raw}, err
}

// writer says of a closed socket what package net would.
type writer struct{ syscall.RawConn }

func (w writer) Write(f func(uintptr) bool) error {
	if w.RawConn.Write(f) != nil {
		return net.ErrClosed
	}
	return nil
}

func (q *quiet) close() error { return errors.Join(q.ready.Close(), q.socket.Close()) }
