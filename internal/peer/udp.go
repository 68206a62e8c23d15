package peer

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
)

// UDP is the Link over real sockets: one for each family, for all interfaces.
type UDP struct {
	log *slog.Logger

	wake chan struct{}
	mu   sync.Mutex
	next *outgoing // guarded by mu; what Send left
	// paths are the latest, for the receivers; guarded by mu.
	paths []Path
}

type outgoing struct {
	paths     []Path
	datagrams [][]byte
}

// NewUDP returns a link that opens its sockets when it has something to send.
func NewUDP(log *slog.Logger) *UDP {
	return &UDP{log: log, wake: make(chan struct{}, 1)}
}

// Send implements Link.
func (u *UDP) Send(paths []Path, datagrams [][]byte) {
	u.mu.Lock()
	u.next, u.paths = &outgoing{paths, datagrams}, paths
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// Run implements Link. A socket that cannot be opened is tried again with the
// next message.
func (u *UDP) Run(ctx context.Context, sink func(Datagram)) error {
	var receivers sync.WaitGroup
	defer receivers.Wait()
	sockets := map[bool]*socket{} // by IPv6
	defer func() {
		for _, s := range sockets {
			_ = s.conn.Close()
		}
	}()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-u.wake:
		}
		u.mu.Lock()
		out := u.next
		u.next = nil
		u.mu.Unlock()
		if out == nil {
			continue
		}
		var errs []error
		for _, p := range out.paths {
			s := sockets[p.IPv6]
			if s == nil {
				opened, err := open(ctx, p.IPv6)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				s = opened
				sockets[p.IPv6] = s
				receivers.Go(func() { u.receive(s, sink) })
			}
			errs = append(errs, s.send(p, out.datagrams))
		}
		said = u.report(errors.Join(errs...), said)
	}
}

// report logs trouble once until it changes.
func (u *UDP) report(err error, said string) string {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != said {
		u.log.Warn("telling the peer; trying again", "error", text)
	}
	return text
}

// receive reads until the socket is closed.
func (u *UDP) receive(s *socket, sink func(Datagram)) {
	buffer := make([]byte, pageSize+1)
	for {
		n, ttl, ifindex, from, err := s.read(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n > pageSize {
			continue
		}
		ifname := strconv.Itoa(ifindex)
		if ifi, err := net.InterfaceByIndex(ifindex); err == nil {
			ifname = ifi.Name
		}
		u.mu.Lock()
		wanted := accepts(u.paths, ifname, from, ttl)
		u.mu.Unlock()
		if wanted {
			sink(Datagram{From: from, Interface: ifname, Payload: append([]byte(nil), buffer[:n]...)})
		}
	}
}

// addrOf returns the address of a UDP sender, IPv4 as such.
func addrOf(a net.Addr) netip.Addr {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
