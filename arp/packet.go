package arp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/mdlayher/arp"
)

// broadcast is the Ethernet address of every station.
func broadcast() net.HardwareAddr { return net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

func errIPv6(addr netip.Addr) error {
	return fmt.Errorf("%s is not an IPv4 address, and ARP knows no other: %w", addr, errors.ErrUnsupported)
}

// announcement returns the ARP packet that announces addr at mac.
func announcement(form Form, mac net.HardwareAddr, addr netip.Addr) ([]byte, error) {
	op, target := arp.OperationRequest, make(net.HardwareAddr, len(mac))
	if form == ReplyForm {
		op, target = arp.OperationReply, mac
	}
	return encode(op, mac, addr, target, addr)
}

// question returns the ARP packet that asks for addr. Without an address to ask
// from nobody learns anything: the sender address is 0.0.0.0 (RFC 5227 section
// 2.1.1).
func question(mac net.HardwareAddr, from, addr netip.Addr) ([]byte, error) {
	if !from.IsValid() {
		from = netip.IPv4Unspecified()
	}
	return encode(arp.OperationRequest, mac, from, make(net.HardwareAddr, len(mac)), addr)
}

func encode(op arp.Operation, mac net.HardwareAddr, sender netip.Addr, target net.HardwareAddr, addr netip.Addr) ([]byte, error) {
	if !addr.Is4() {
		return nil, errIPv6(addr)
	}
	p, err := arp.NewPacket(op, mac, sender, target, addr)
	if err != nil {
		return nil, fmt.Errorf("building an ARP packet for %s: %w", addr, err)
	}
	return p.MarshalBinary()
}

// Claim is an ARP packet in which a station says that it has an address: a
// reply, or a request sent from that address.
type Claim struct {
	Address netip.Addr
	MAC     net.HardwareAddr // as in the ARP packet, which is what neighbours learn
	Reply   bool             // an answer or the reply form of an announcement
}

// senderOffset is where a packet for Ethernet and IPv4 has its sender address.
const senderOffset = 14

// parseClaim reads the ARP packet at the start of data; padding may follow. It
// returns false for what is malformed, for another network or claims nothing.
func parseClaim(data []byte) (Claim, bool) {
	const ethernet, ipv4 = 1, 0x0800
	if len(data) < 8 || binary.BigEndian.Uint16(data) != ethernet || binary.BigEndian.Uint16(data[2:]) != ipv4 ||
		data[4] != 6 || data[5] != 4 {
		return Claim{}, false
	}
	var p arp.Packet
	if p.UnmarshalBinary(data) != nil || p.SenderIP.IsUnspecified() {
		return Claim{}, false
	}
	if p.Operation != arp.OperationRequest && p.Operation != arp.OperationReply {
		return Claim{}, false
	}
	return Claim{
		Address: p.SenderIP,
		MAC:     slices.Clone(p.SenderHardwareAddr),
		Reply:   p.Operation == arp.OperationReply,
	}, true
}
