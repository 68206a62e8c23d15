package trace

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Frame is one frame of the journey as it was captured.
type Frame struct {
	At        time.Time `json:"at"`
	Interface string    `json:"interface"`
	// Out is set if this host sent it.
	Out            bool           `json:"out"`
	From           string         `json:"from,omitempty"` // whose the MAC is
	To             string         `json:"to,omitempty"`
	SourceMAC      string         `json:"source_mac"`
	DestinationMAC string         `json:"destination_mac"`
	Outer          *Outer         `json:"outer,omitempty"`
	Protocol       uint8          `json:"protocol"`
	Source         netip.AddrPort `json:"source"`
	Destination    netip.AddrPort `json:"destination"`
	Flags          string         `json:"flags,omitempty"` // of TCP: "SYN", "SYN ACK"...
	Length         int            `json:"length"`          // of the IP packet, in bytes
}

const (
	etherLen  = 14
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	protoIPIP = 4
	protoTCP  = 6
	protoUDP  = 17
	protoIPv6 = 41
	protoSCTP = 132
)

// parseFrame reads an Ethernet frame; of a tunnel by IP in IP, the packet inside.
// Padding may follow. It returns false for what is no such frame.
func parseFrame(b []byte) (Frame, bool) {
	if len(b) < etherLen {
		return Frame{}, false
	}
	f := Frame{DestinationMAC: net.HardwareAddr(b[:6]).String(), SourceMAC: net.HardwareAddr(b[6:12]).String()}
	kind := binary.BigEndian.Uint16(b[12:])
	if kind != etherIPv4 && kind != etherIPv6 {
		return Frame{}, false
	}
	p, ok := parseIP(b[etherLen:])
	if !ok {
		return Frame{}, false
	}
	f.Length = p.length
	if p.protocol == protoIPIP || p.protocol == protoIPv6 {
		inner, ok := parseIP(p.payload)
		if !ok {
			return Frame{}, false
		}
		f.Outer = &Outer{p.source, p.destination}
		p = inner
	}
	f.Protocol = p.protocol
	var ports [2]uint16
	if carriesPorts(p.protocol) && len(p.payload) >= 4 {
		ports = [2]uint16{binary.BigEndian.Uint16(p.payload), binary.BigEndian.Uint16(p.payload[2:])}
	}
	f.Source, f.Destination = netip.AddrPortFrom(p.source, ports[0]), netip.AddrPortFrom(p.destination, ports[1])
	if p.protocol == protoTCP && len(p.payload) >= 14 {
		f.Flags = flags(p.payload[13])
	}
	return f, true
}

func carriesPorts(protocol uint8) bool {
	return protocol == protoTCP || protocol == protoUDP || protocol == protoSCTP
}

// ipPacket is an IP packet without extension headers.
type ipPacket struct {
	source, destination netip.Addr
	protocol            uint8
	payload             []byte // what was captured of it
	length              int
}

func parseIP(b []byte) (ipPacket, bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		header, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
		if header < 20 || header > len(b) || total < header {
			return ipPacket{}, false
		}
		p := ipPacket{netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[9], b[header:min(total, len(b))], total}
		if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			p.payload = nil // a later fragment has no ports
		}
		return p, true
	case len(b) >= 40 && b[0]>>4 == 6:
		total := 40 + int(binary.BigEndian.Uint16(b[4:]))
		return ipPacket{netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), b[6], b[40:min(total, len(b))], total}, true
	}
	return ipPacket{}, false
}

func flags(bits byte) string {
	text := ""
	for _, f := range []struct {
		bit  byte
		name string
	}{{2, "SYN"}, {16, "ACK"}, {1, "FIN"}, {4, "RST"}, {8, "PSH"}} {
		if bits&f.bit == 0 {
			continue
		}
		if text != "" {
			text += " "
		}
		text += f.name
	}
	return text
}

// Watch says what to capture.
type Watch struct {
	Interfaces []string
	Client     netip.AddrPort // port 0 is any
	// Ends are whom the client talks to: the target, and by NAT the real servers.
	Ends     []netip.AddrPort
	Protocol uint8
}

// belongs reports whether a frame is of the client's traffic.
func (w Watch) belongs(f Frame) bool {
	if f.Protocol != w.Protocol {
		return false
	}
	client := func(a netip.AddrPort) bool {
		return a.Addr() == w.Client.Addr() && (w.Client.Port() == 0 || a.Port() == w.Client.Port())
	}
	return client(f.Source) && slices.Contains(w.Ends, f.Destination) || client(f.Destination) && slices.Contains(w.Ends, f.Source)
}
