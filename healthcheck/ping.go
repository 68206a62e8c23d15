package healthcheck

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Ping passes when the server's address answers an ICMP echo request. The
// target's port has no meaning.
type Ping struct{}

func (Ping) checker() (Checker, error) {
	p := &pinger{sockets: make(map[bool]*pingSocket)}
	return p.check, nil
}

// pinger shares one socket of each family among all checks in flight. The first
// opens it and the last closes it.
type pinger struct {
	mu      sync.Mutex
	sockets map[bool]*pingSocket // guarded by mu; true for IPv6
}

// token is what an answer is recognised by: it comes back as it was sent.
type token [16]byte

type pingSocket struct {
	conn   *icmp.PacketConn
	raw    bool
	users  int // guarded by the pinger's mu
	ended  chan struct{}
	echoed int // protocol number, to parse replies

	mu      sync.Mutex
	waiting map[token]waiter // guarded by mu
}

type waiter struct {
	from  netip.Addr
	reply chan struct{} // closed when it has come
}

func (p *pinger) check(ctx context.Context, _ time.Time, t Target) Result {
	address := t.Address.Addr().Unmap()
	s, err := p.acquire(address.Is6())
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return Result{Outcome: Inconclusive, Reason: ReasonCannot, Detail: shorten(err.Error())}
		}
		return connectResult(err)
	}
	defer p.release(address.Is6(), s)
	var mine token
	_, _ = rand.Read(mine[:]) // never fails
	w := waiter{from: address.WithZone(""), reply: make(chan struct{})}
	s.mu.Lock()
	s.waiting[mine] = w
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, mine)
		s.mu.Unlock()
	}()
	if err := s.send(address, mine); err != nil {
		return connectResult(err)
	}
	select {
	case <-w.reply:
		return Result{Outcome: Pass, Reason: ReasonAnswered}
	case <-ctx.Done():
		return Result{Outcome: Fail, Reason: ReasonTimeout, Detail: "no reply"}
	}
}

func (p *pinger) acquire(six bool) (*pingSocket, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sockets[six]
	if s == nil {
		var err error
		if s, err = openPing(six); err != nil {
			return nil, fmt.Errorf("opening an ICMP socket: %w", err)
		}
		p.sockets[six] = s
		go s.receive()
	}
	s.users++
	return s, nil
}

func (p *pinger) release(six bool, s *pingSocket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	delete(p.sockets, six)
	_ = s.conn.Close()
	<-s.ended
}

// openPing opens a raw socket, or where that is not permitted one that the
// kernel has for echo requests alone (net.ipv4.ping_group_range).
func openPing(six bool) (*pingSocket, error) {
	s := &pingSocket{raw: true, ended: make(chan struct{}), waiting: make(map[token]waiter)}
	network, fallback, local := "ip4:icmp", "udp4", "0.0.0.0"
	s.echoed = 1
	if six {
		network, fallback, local = "ip6:ipv6-icmp", "udp6", "::"
		s.echoed = 58
	}
	conn, err := icmp.ListenPacket(network, local)
	if errors.Is(err, os.ErrPermission) {
		s.raw = false
		conn, err = icmp.ListenPacket(fallback, local)
	}
	if err != nil {
		return nil, err
	}
	s.conn = conn
	if s.raw {
		// Without the filter all ICMP of the host would come here; the parser
		// drops the rest where there is no such filter.
		if six {
			var filter ipv6.ICMPFilter
			filter.SetAll(true)
			filter.Accept(ipv6.ICMPTypeEchoReply)
			_ = conn.IPv6PacketConn().SetICMPFilter(&filter)
		} else {
			var filter ipv4.ICMPFilter
			filter.SetAll(true)
			filter.Accept(ipv4.ICMPTypeEchoReply)
			_ = conn.IPv4PacketConn().SetICMPFilter(&filter)
		}
	}
	return s, nil
}

func (s *pingSocket) send(to netip.Addr, mine token) error {
	message := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{
		ID: int(mine[0])<<8 | int(mine[1]), Seq: int(mine[2])<<8 | int(mine[3]), Data: mine[:],
	}}
	if to.Is6() {
		message.Type = ipv6.ICMPTypeEchoRequest
	}
	packet, err := message.Marshal(nil)
	if err != nil {
		return err
	}
	var address net.Addr = &net.UDPAddr{IP: to.AsSlice(), Zone: to.Zone()}
	if s.raw {
		address = &net.IPAddr{IP: to.AsSlice(), Zone: to.Zone()}
	}
	_, err = s.conn.WriteTo(packet, address)
	return err
}

// receive hands out replies until the socket is closed.
func (s *pingSocket) receive() {
	defer close(s.ended)
	buffer := make([]byte, 1500)
	for failures := 0; failures < 100; {
		n, from, err := s.conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			failures++ // such as an ICMP error about another packet
			continue
		}
		failures = 0
		mine, ok := parseEcho(s.echoed, buffer[:n])
		if !ok {
			continue
		}
		s.mu.Lock()
		if w, expected := s.waiting[mine]; expected && w.from == sender(from) {
			close(w.reply)
			delete(s.waiting, mine)
		}
		s.mu.Unlock()
	}
}

func sender(from net.Addr) netip.Addr {
	var ip net.IP
	switch a := from.(type) {
	case *net.IPAddr:
		ip = a.IP
	case *net.UDPAddr:
		ip = a.IP
	}
	address, _ := netip.AddrFromSlice(ip)
	return address.Unmap()
}

// parseEcho returns the token of an echo reply, protocol 1 or 58.
func parseEcho(protocol int, packet []byte) (mine token, ok bool) {
	message, err := icmp.ParseMessage(protocol, packet)
	if err != nil || message.Type != ipv4.ICMPTypeEchoReply && message.Type != ipv6.ICMPTypeEchoReply {
		return mine, false
	}
	echo, ok := message.Body.(*icmp.Echo)
	if !ok || len(echo.Data) != len(mine) {
		return mine, false
	}
	return token(echo.Data), true
}
