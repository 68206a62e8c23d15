package traffic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// watchPatience bounds one wait for an answer, so that timeouts and the end of the
// client are noticed.
const watchPatience = 50 * time.Millisecond

// connections are the TCP requests under way.
type connections struct {
	cfg     TCPConfig
	stream  *stream
	timeout time.Duration
	poll    int

	mu   sync.Mutex
	open map[int]attempt // by descriptor
}

type attempt struct {
	seq  uint64
	sent time.Duration
}

// open prepares the stream. Connections are non-blocking sockets under one epoll.
func (cfg TCPConfig) open(s *stream) (func(context.Context) error, error) {
	if len(cfg.Sources) == 0 {
		return nil, fmt.Errorf("connecting to %s: needs source addresses", cfg.Target)
	}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watching connections: %w", os.NewSyscallError("epoll_create1", err))
	}
	c := &connections{cfg: cfg, stream: s, timeout: s.ledger.timeout, poll: poll, open: make(map[int]attempt)}
	s.send = c.connect
	return c.receive, nil
}

// connect begins request seq.
func (c *connections) connect(seq uint64) error {
	fd, err := unix.Socket(domain(c.cfg.Target.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := c.begin(fd, seq); err != nil {
		c.mu.Lock()
		delete(c.open, fd)
		c.mu.Unlock()
		_ = unix.Close(fd)
		return err
	}
	return nil
}

func (c *connections) begin(fd int, seq uint64) error {
	source := socketAddress(netip.AddrPortFrom(c.cfg.Sources[seq%uint64(len(c.cfg.Sources))], 0))
	target := socketAddress(c.cfg.Target)
	for _, err := range []error{
		// The port is chosen when the whole connection is known, so many share it.
		unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		// Closing resets, so that neither side waits out the connection.
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.Bind(fd, source),
	} {
		if err != nil {
			return os.NewSyscallError("preparing a connection", err)
		}
	}
	c.mu.Lock()
	c.open[fd] = attempt{seq, c.stream.elapsed()}
	c.mu.Unlock()
	if err := unix.Connect(fd, target); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return os.NewSyscallError("connect", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(c.poll, unix.EPOLL_CTL_ADD, fd, &event))
}

// receive feeds the ledger until ctx ends.
func (c *connections) receive(ctx context.Context) error {
	defer func() {
		for fd := range c.open {
			_ = unix.Close(fd)
		}
		_ = unix.Close(c.poll)
	}()
	events := make([]unix.EpollEvent, 256)
	for ctx.Err() == nil {
		n, err := unix.EpollWait(c.poll, events, int(watchPatience/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watching connections: %w", os.NewSyscallError("epoll_wait", err))
		}
		for i := range max(n, 0) {
			c.read(int(events[i].Fd))
		}
		c.expire()
	}
	return nil
}

// read takes the answer, or the reason why there is none, and ends the connection.
func (c *connections) read(fd int) {
	var buffer [256]byte
	n, err := unix.Read(fd, buffer[:])
	if errors.Is(err, unix.EAGAIN) {
		return
	}
	at := c.stream.elapsed()
	c.mu.Lock()
	a, ok := c.open[fd]
	delete(c.open, fd)
	c.mu.Unlock()
	_ = unix.Close(fd)
	if !ok {
		return
	}
	name, _, whole := bytes.Cut(buffer[:max(n, 0)], []byte("\n"))
	switch {
	case err == nil && whole:
		c.stream.answer(a.seq, at, string(name), 0)
	case errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH):
		c.stream.fail(a.seq, Refused)
	case errors.Is(err, unix.ETIMEDOUT):
		// Without an answer it is lost at its timeout.
	default:
		c.stream.fail(a.seq, Reset)
	}
}

// expire gives up connections that had no answer in time.
func (c *connections) expire() {
	now := c.stream.elapsed()
	c.mu.Lock()
	defer c.mu.Unlock()
	for fd, a := range c.open {
		if now-a.sent > c.timeout {
			delete(c.open, fd)
			_ = unix.Close(fd)
		}
	}
}
