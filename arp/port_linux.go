package arp

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
)

const (
	etherTypeARP  = 0x0806
	etherTypeIPv6 = 0x86dd
	// writeTimeout bounds how long a full queue of one interface can hold up
	// the announcements on the others.
	writeTimeout = 50 * time.Millisecond
)

// packetPort is a packet socket for each family; the kernel writes the Ethernet
// header. It works on an interface without any address, where the clients of the
// arp and ndp libraries do not.
type packetPort struct {
	conn  *packet.Conn
	conn6 *packet.Conn
	ifi   *net.Interface
	// router says whether the interface forwards IPv6.
	router bool
}

// Open opens the port of an Ethernet interface. It needs CAP_NET_RAW.
func Open(ifname string) (Port, error) {
	sendOnly := []bpf.Instruction{bpf.RetConstant{Val: 0}}
	conn, ifi, err := listen(ifname, etherTypeARP, sendOnly)
	if err != nil {
		return nil, fmt.Errorf("opening an ARP socket on %s: %w", ifname, err)
	}
	conn6, _, err := listen(ifname, etherTypeIPv6, sendOnly)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("opening a socket for neighbour advertisements on %s: %w", ifname, err)
	}
	return &packetPort{conn: conn, conn6: conn6, ifi: ifi, router: forwards(ifname)}, nil
}

// forwards reports whether the kernel calls itself a router in its neighbour
// advertisements. A kernel without IPv6 does not.
func forwards(ifname string) bool {
	value, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + ifname + "/forwarding")
	return err == nil && strings.TrimSpace(string(value)) != "0"
}

func listen(ifname string, etherType int, filter []bpf.Instruction) (*packet.Conn, *net.Interface, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, nil, err
	}
	if len(ifi.HardwareAddr) != 6 || ifi.Flags&net.FlagLoopback != 0 {
		return nil, nil, ErrNoARP
	}
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return nil, nil, fmt.Errorf("assembling the filter: %w", err)
	}
	conn, err := packet.Listen(ifi, packet.Datagram, etherType, &packet.Config{Filter: raw})
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil, fmt.Errorf("%w (needs root or the capability CAP_NET_RAW)", err)
	}
	if err != nil {
		return nil, nil, err
	}
	return conn, ifi, nil
}

func (p *packetPort) Announce(form Form, addr netip.Addr) error {
	conn, to := p.conn, broadcast()
	var data []byte
	var err error
	if form == AdvertisementForm {
		conn = p.conn6
		data, to, err = advertisement(p.ifi.HardwareAddr, addr, p.router)
	} else {
		data, err = announcement(form, p.ifi.HardwareAddr, addr)
	}
	if err != nil {
		return err
	}
	if err := send(conn, to, data); err != nil {
		return fmt.Errorf("announcing %s on %s: %w", addr, p.ifi.Name, err)
	}
	return nil
}

func send(conn *packet.Conn, to net.HardwareAddr, data []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := conn.WriteTo(data, &packet.Addr{HardwareAddr: to})
	return err
}

func (p *packetPort) Current() bool {
	now, err := net.InterfaceByName(p.ifi.Name)
	return err == nil && now.Index == p.ifi.Index && bytes.Equal(now.HardwareAddr, p.ifi.HardwareAddr) && forwards(p.ifi.Name) == p.router
}

func (p *packetPort) Close() error { return errors.Join(p.conn.Close(), p.conn6.Close()) }
