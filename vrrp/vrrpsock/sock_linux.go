package vrrpsock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/vrrp"
)

const (
	// ttl is what receivers insist on (RFC 9568, sections 5.1.1.3 and 5.1.2.3).
	ttl = 255
	// tos is Internetwork Control (RFC 2474: CS6).
	tos = 0xc0
	// bufferSize holds a burst of one advert for each of 255 VRIDs, thrice.
	bufferSize = 1 << 20
)

// port implements vrrp.Port on a raw socket.
type port struct {
	ifname string
	family vrrp.Family
	index  int
	conn   net.PacketConn // until it is prepared
	quiet  *quiet         // from then on
	packet packetConn
	raw    syscall.RawConn

	sender   sender
	frames   frames
	receiver receiver
	chosen   netip.Addr // source address; belongs to the caller of Source
}

// packetConn is what ipv4.PacketConn and ipv6.PacketConn have in common; their
// messages are the same type.
type packetConn interface {
	WriteBatch(messages []ipv4.Message, flags int) (int, error)
	SetBPF(filter []bpf.RawInstruction) error
}

func open(ifname string, family vrrp.Family) (*port, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) { err = isolate(int(fd), ifname, family) }); e != nil {
			return e
		}
		return err
	}}
	network, any := "ip4:", "0.0.0.0"
	if family == vrrp.IPv6 {
		network, any = "ip6:", "::"
	}
	conn, err := config.ListenPacket(context.Background(), network+strconv.Itoa(vrrp.Protocol), any)
	switch {
	case errors.Is(err, unix.ENODEV):
		return nil, fmt.Errorf("interface %s does not exist", ifname)
	case errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("CAP_NET_RAW is needed: %w", err)
	case errors.Is(err, unix.EAFNOSUPPORT):
		return nil, fmt.Errorf("this kernel runs without %v: %w", family, err)
	case err != nil:
		return nil, err
	}
	p := &port{ifname: ifname, family: family, conn: conn}
	if err := p.prepare(); err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

// isolate makes a raw socket see one interface. Without the first option it
// would receive what arrives elsewhere, without the second what other sockets of
// this host joined.
func isolate(fd int, ifname string, family vrrp.Family) error {
	if err := unix.BindToDevice(fd, ifname); err != nil {
		return err
	}
	level, option, name := unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, "IP_MULTICAST_ALL"
	if family == vrrp.IPv6 {
		level, option, name = unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, "IPV6_MULTICAST_ALL"
	}
	if err := unix.SetsockoptInt(fd, level, option, 0); err != nil {
		return fmt.Errorf("setting %s: %w", name, err)
	}
	// A raw socket receives from its creation on: what came before the binding is
	// thrown away.
	var b [1]byte
	for {
		if _, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT); err != nil {
			break
		}
	}
	// The kernel's limit for everybody else is too low for 255 virtual routers.
	for _, buffer := range []struct{ forced, limited int }{
		{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF},
	} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, buffer.forced, bufferSize) == nil {
			continue
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, buffer.limited, bufferSize); err != nil {
			return fmt.Errorf("setting the size of the buffers: %w", err)
		}
	}
	return nil
}

// prepare sets the options that adverts need and joins the group.
func (p *port) prepare() error {
	var err error
	if p.raw, err = p.conn.(*net.IPConn).SyscallConn(); err != nil {
		return err
	}
	if p.index, err = p.look(); err != nil {
		return err
	}
	var options []option
	if p.family == vrrp.IPv4 {
		options = p.options4()
	} else {
		options = p.options6()
	}
	for _, o := range options {
		if err := o.set(); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
	if err := p.frames.open(p.family); err != nil {
		return err
	}
	// From here on adverts are sent and received.
	conn := p.conn.(*net.IPConn)
	if p.quiet, err = newQuiet(conn); err != nil {
		p.frames.close()
		return err
	}
	if p.raw, err = p.quiet.socket.SyscallConn(); err != nil {
		return errors.Join(err, p.Close())
	}
	p.packet = p.quiet.packets(conn, p.family)
	p.sender.init(p.family)
	p.receiver.init(p.family, p.raw)
	return nil
}

// option is one thing to set before the first advert.
type option struct {
	name string
	set  func() error
}

// Listen implements vrrp.Port.
func (p *port) Listen(vrids vrrp.VRIDs) error {
	program, err := bpf.Assemble(filter(vrids, p.family))
	if err != nil {
		return fmt.Errorf("assembling the filter of %s: %w", p.ifname, err)
	}
	if err := p.packet.SetBPF(program); err != nil {
		return fmt.Errorf("setting the filter of %s: %w", p.ifname, err)
	}
	return nil
}

// Close implements vrrp.Port.
func (p *port) Close() error {
	p.frames.close()
	return p.quiet.close()
}
