package arp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

const (
	headerLen6  = 40
	nextHeader6 = 58  // ICMPv6
	hopLimit6   = 255 // what neighbour discovery insists on (RFC 4861, section 7.1)
	messageLen6 = 24  // type, code, checksum, flags, target

	// Offsets in a packet without extension headers.
	nextHeaderOffset6 = 6
	hopLimitOffset6   = 7
	typeOffset6       = headerLen6
	targetOffset6     = headerLen6 + 8

	typeSolicitation  = 135
	typeAdvertisement = 136

	flagRouter    = 0x80
	flagSolicited = 0x40
	flagOverride  = 0x20

	optionSourceMAC = 1
	optionTargetMAC = 2
)

// allNodes is where unsolicited advertisements go.
var allNodes = netip.IPv6LinkLocalAllNodes()

// advertisement returns the IPv6 packet of an unsolicited neighbour advertisement
// that announces addr at mac, and the Ethernet address it goes to. It comes from
// addr itself, so it needs no other address on the interface: "send an unsolicited
// ND Neighbor Advertisement with the Router Flag (R) set, the Solicited flag (S)
// clear, the Override flag (O) set, the target address set to the IPv6 address of
// the Virtual Router, and the target link-layer address set to" ours (RFC 9568,
// section 6.4.1). R is set if this host forwards: what the kernel answers to
// solicitations says the same, and a neighbour is not told both in turn.
func advertisement(mac net.HardwareAddr, addr netip.Addr, router bool) ([]byte, net.HardwareAddr, error) {
	if len(mac) != 6 {
		return nil, nil, fmt.Errorf("building a neighbour advertisement for %s: %w", addr, ErrNoARP)
	}
	flags := byte(flagOverride)
	if router {
		flags |= flagRouter
	}
	m := message6(typeAdvertisement, flags, addr)
	m = append(m, optionTargetMAC, 1) // in units of 8 octets
	return encode6(addr, allNodes, addr, append(m, mac...))
}

// solicitation returns the IPv6 packet that asks for addr. Without an address to
// ask from nobody learns anything: it comes from the unspecified address, as in
// duplicate address detection (RFC 4862, section 5.4.2). With one it carries this
// host's Ethernet address (RFC 4861, section 4.3).
func solicitation(mac net.HardwareAddr, from, addr netip.Addr) ([]byte, net.HardwareAddr, error) {
	// The solicited-node group is ff02::1:ff00:0 and the last 24 bits (RFC 4291,
	// section 2.7.1).
	octets := addr.As16()
	group := [16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff}
	copy(group[13:], octets[13:])
	message := message6(typeSolicitation, 0, addr)
	if !from.IsValid() {
		return encode6(netip.IPv6Unspecified(), netip.AddrFrom16(group), addr, message)
	}
	message = append(message, optionSourceMAC, 1) // in units of 8 octets
	return encode6(from, netip.AddrFrom16(group), addr, append(message, mac...))
}

// message6 returns a message of neighbour discovery without options and checksum
// (RFC 4861, sections 4.3 and 4.4).
func message6(kind, flags byte, target netip.Addr) []byte {
	octets := target.As16()
	return append([]byte{kind, 0, 0, 0, flags, 0, 0, 0}, octets[:]...)
}

// encode6 puts a message about target into an IPv6 packet, and returns that with
// the Ethernet address of the group that it goes to.
func encode6(source, destination, target netip.Addr, message []byte) ([]byte, net.HardwareAddr, error) {
	if !target.Is6() || target.Is4In6() || target.Zone() != "" {
		return nil, nil, fmt.Errorf("%s is not an IPv6 address as packets carry it: %w", target, errors.ErrUnsupported)
	}
	src, dst := source.As16(), destination.As16()
	b := make([]byte, 8, headerLen6+len(message))
	b[0] = 0x60
	binary.BigEndian.PutUint16(b[4:], uint16(len(message)))
	b[nextHeaderOffset6], b[hopLimitOffset6] = nextHeader6, hopLimit6
	b = append(append(b, src[:]...), dst[:]...)
	b = append(b, message...)
	binary.BigEndian.PutUint16(b[headerLen6+2:], ^checksum6(b))
	return b, multicastMAC(destination), nil
}

// multicastMAC is the Ethernet address of an IPv6 group (RFC 2464, section 7).
func multicastMAC(group netip.Addr) net.HardwareAddr {
	a := group.As16()
	return append(net.HardwareAddr{0x33, 0x33}, a[12:]...)
}

// parseAdvertisement reads the neighbour advertisement in an IPv6 packet that came
// from the Ethernet address from; padding may follow. It returns false for
// anything else and for what RFC 4861, section 7.1.2, calls invalid.
func parseAdvertisement(data []byte, from net.HardwareAddr) (Claim, bool) {
	if len(data) < headerLen6 || data[0]>>4 != 6 || data[nextHeaderOffset6] != nextHeader6 || data[hopLimitOffset6] != hopLimit6 {
		return Claim{}, false
	}
	length := int(binary.BigEndian.Uint16(data[4:]))
	if len(data) < headerLen6+length {
		return Claim{}, false
	}
	data = data[:headerLen6+length]
	m := data[headerLen6:]
	if len(m) < messageLen6 || m[0] != typeAdvertisement || m[1] != 0 || checksum6(data) != 0xffff {
		return Claim{}, false
	}
	target := netip.AddrFrom16([16]byte(m[8:messageLen6]))
	if target.IsMulticast() || target.IsUnspecified() {
		return Claim{}, false
	}
	claim := Claim{Address: target, MAC: slices.Clone(from), Reply: m[4]&flagSolicited != 0}
	for options := m[messageLen6:]; len(options) > 0; {
		// "All included options have a length that is greater than zero."
		if len(options) < 8 || options[1] == 0 || len(options) < 8*int(options[1]) {
			return Claim{}, false
		}
		if options[0] == optionTargetMAC && options[1] == 1 {
			claim.MAC = slices.Clone(net.HardwareAddr(options[2:8]))
		}
		options = options[8*int(options[1]):]
	}
	return claim, true
}

// checksum6 sums the addresses of a packet and its message as ICMPv6 does (RFC
// 4443, section 2.3). It is 0xffff if the checksum inside is right.
func checksum6(packet []byte) uint16 {
	acc := uint32(len(packet)-headerLen6) + nextHeader6
	for b := packet[8:]; len(b) > 0; b = b[2:] {
		if len(b) == 1 {
			acc += uint32(b[0]) << 8
			break
		}
		acc += uint32(binary.BigEndian.Uint16(b))
	}
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}
