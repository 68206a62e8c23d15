package traffic

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// respond runs servers until its input ends. They share a process, each on
// threads in its own network namespace: under emulation the switch from one
// process to another is what costs most.
func respond(commands <-chan Command, out *lines) error {
	servers := make(map[string]*server)
	if err := out.write(Message{Ready: true}); err != nil {
		return fmt.Errorf("saying that the responders are ready: %w", err)
	}
	for c := range commands {
		if err := out.write(obey(servers, c)); err != nil {
			return fmt.Errorf("confirming a command: %w", err)
		}
	}
	for _, s := range servers {
		s.close()
	}
	return nil
}

func obey(servers map[string]*server, c Command) Message {
	switch {
	case c.Serve != nil:
		if servers[c.Serve.Name] != nil {
			return Message{Problem: fmt.Sprintf("serving as %s: it serves already", c.Serve.Name)}
		}
		s, err := serve(*c.Serve)
		if err != nil {
			return Message{Problem: fmt.Sprintf("serving as %s: %v", c.Serve.Name, err)}
		}
		servers[c.Serve.Name] = s
		return Message{Started: c.Serve.Name}
	case servers[c.Close] != nil:
		servers[c.Close].close()
		delete(servers, c.Close)
		return Message{Stopped: c.Close}
	}
	return Message{Problem: fmt.Sprintf("closing %q: it does not serve", c.Close)}
}

// server is one responder at work.
type server struct {
	sockets []int
	threads sync.WaitGroup
}

func serve(cfg ServerConfig) (*server, error) {
	s := &server{}
	for _, port := range cfg.Ports {
		if err := errors.Join(s.open(cfg, unix.SOCK_DGRAM, port, echo), s.open(cfg, unix.SOCK_STREAM, port, greet)); err != nil {
			s.close()
			return nil, err
		}
	}
	for _, port := range cfg.Streams {
		if err := s.open(cfg, unix.SOCK_STREAM, port, (&streams{}).trickle); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// open opens one port and answers there.
func (s *server) open(cfg ServerConfig, kind int, port uint16, answer func(fd int, name string) error) error {
	opened := make(chan error)
	s.threads.Go(func() {
		fd, err := listen(cfg, kind, port)
		if err == nil {
			s.sockets = append(s.sockets, fd)
		}
		opened <- err
		if err == nil {
			// Whatever ends it, the client will find the port closed.
			_ = answer(fd, cfg.Name)
			_ = unix.Close(fd)
		}
	})
	if err := <-opened; err != nil {
		return fmt.Errorf("opening port %d: %w", port, err)
	}
	return nil
}

// close closes the server's ports and waits until that is done.
func (s *server) close() {
	for _, fd := range slices.Backward(s.sockets) {
		// This wakes the thread that waits at the socket, which then closes it. On a
		// datagram socket it says that there is no connection, and works nevertheless.
		_ = unix.Shutdown(fd, unix.SHUT_RDWR)
	}
	s.threads.Wait()
	s.sockets = nil
}

// listen opens a socket in a namespace, and leaves its thread there for good. The
// socket blocks: the runtime's poller would cost several wake-ups a request.
func listen(cfg ServerConfig, kind int, port uint16) (fd int, err error) {
	runtime.LockOSThread()
	ns, err := netns.GetFromPath(cfg.Namespace)
	if err != nil {
		return -1, fmt.Errorf("opening %s: %w", cfg.Namespace, err)
	}
	defer func() { _ = ns.Close() }()
	if err := netns.Set(ns); err != nil {
		return -1, fmt.Errorf("entering %s: %w", cfg.Namespace, err)
	}
	// A socket of IPv6 receives IPv4 too.
	any, level, option := netip.IPv4Unspecified(), unix.SOL_IP, unix.IP_PKTINFO
	if cfg.IPv6 {
		any, level, option = netip.IPv6Unspecified(), unix.SOL_IPV6, unix.IPV6_RECVPKTINFO
	}
	if fd, err = unix.Socket(domain(any), kind|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	steps := []error{
		// Connections that ended a moment ago do not keep the port.
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)),
		os.NewSyscallError("bind", unix.Bind(fd, socketAddress(netip.AddrPortFrom(any, port)))),
	}
	if kind == unix.SOCK_STREAM {
		steps = append(steps, os.NewSyscallError("listen", unix.Listen(fd, unix.SOMAXCONN)))
	} else {
		steps = append(steps, os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, option, 1)))
	}
	if err := errors.Join(steps...); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// echo answers each datagram with itself and the name, from the address that it
// was sent to, until the socket is shut down.
func echo(fd int, name string) error {
	buffer, control := make([]byte, 2048), make([]byte, 256)
	for {
		n, controlLength, _, from, err := unix.Recvmsg(fd, buffer, control, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || from == nil {
			return os.NewSyscallError("recvmsg", err)
		}
		local := sentTo(control[:controlLength])
		if n != requestLength || local == nil {
			continue // no request: an answer is never answered
		}
		// What cannot be sent is lost, and the client will say so.
		_ = unix.Sendmsg(fd, append(buffer[:n], name...), local, from, 0)
	}
}

// sentTo finds in the control messages where a datagram was sent to, and returns
// the control message that sends the answer from there. Without one it is nil.
func sentTo(control []byte) []byte {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		switch {
		// struct in_pktinfo: interface, local address, destination of the header.
		case m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte(m.Data[8:12])})
		// struct in6_pktinfo: destination of the header, interface.
		case m.Header.Level == unix.SOL_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: [16]byte(m.Data[:16])})
		}
	}
	return nil
}

// greet answers each connection with the name and closes it, until the socket is
// shut down.
func greet(fd int, name string) error {
	for {
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED):
			continue
		case err != nil:
			return os.NewSyscallError("accept4", err)
		}
		// A new socket takes a few bytes without waiting for the peer; one that is
		// gone is the client's to tell.
		_, _ = unix.SendmsgN(conn, []byte(name+"\n"), nil, nil, unix.MSG_NOSIGNAL)
		_ = unix.Close(conn)
	}
}
