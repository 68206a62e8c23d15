package traffic

import (
	"encoding/binary"
	"net/netip"
)

const (
	firstPort = 1024
	ports     = 65536 - firstPort
)

// flow returns the source of a request: neighbouring requests differ in both
// address and port. Host numbers 1 to 254 are used.
func flow(sources netip.Prefix, seq uint64) netip.AddrPort {
	b := sources.Masked().Addr().AsSlice()
	b[len(b)-1] = byte(1 + seq%254)
	address, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(address, uint16(firstPort+seq/254%ports))
}

const (
	ipHeader   = 20
	ipv6Header = 40
	udpHeader  = 8
	seqLength  = 8
	ownTTL     = 64

	protocolICMP   = 1
	protocolUDP    = 17
	protocolICMPv6 = 58
)

// cookie begins every payload, so that stray packets are not taken for ours.
var cookie = [4]byte{'H', 'l', 'd', 'r'}

// requestLength is the length of a request's payload.
const requestLength = len(cookie) + seqLength

// datagramLength is the length of a request with its UDP header.
const datagramLength = udpHeader + requestLength

// buildRequest appends a request to b, as an IP packet. Identification and header
// checksum of IPv4 are the kernel's to fill in.
func buildRequest(b []byte, from, to netip.AddrPort, seq uint64) []byte {
	addresses := append(from.Addr().AsSlice(), to.Addr().AsSlice()...)
	if from.Addr().Is4() {
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, ipHeader+uint16(datagramLength))
		b = append(b, 0, 0, 0, 0, ownTTL, protocolUDP, 0, 0)
	} else {
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(datagramLength))
		b = append(b, protocolUDP, ownTTL)
	}
	b = append(b, addresses...)
	b = append(b, make([]byte, datagramLength)...)
	udp := b[len(b)-datagramLength:]
	binary.BigEndian.PutUint16(udp[0:], from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(datagramLength))
	putRequest(udp[udpHeader:], seq)
	sum := onesSum(addresses, protocolUDP+uint32(datagramLength))
	check := ^fold16(onesSum(udp, sum))
	if check == 0 {
		check = 0xffff // zero would mean that there is none
	}
	binary.BigEndian.PutUint16(udp[6:], check)
	return b
}

func putRequest(b []byte, seq uint64) {
	copy(b, cookie[:])
	binary.BigEndian.PutUint64(b[len(cookie):], seq)
}

// onesSum adds b, of even length, to a sum of 16-bit words.
func onesSum(b []byte, sum uint32) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	return sum
}

func fold16(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// reply is what a packet says about a request.
type reply struct {
	seq     uint64
	ttl     uint8
	server  string
	refused bool // an ICMP destination unreachable
}

// parseReply reads an IP packet that arrived at one of the flow sources. ok is
// false for packets that are none of ours.
func parseReply(b []byte) (r reply, ok bool) {
	protocol, ttl, body, ok := parseIP(b)
	if !ok {
		return r, false
	}
	r.ttl = ttl
	switch protocol {
	case protocolUDP:
		if len(body) < udpHeader {
			return r, false
		}
		var name []byte
		if r.seq, name, ok = cutRequest(body[udpHeader:]); !ok || len(name) == 0 {
			return r, false
		}
		r.server = string(name)
		return r, true
	case protocolICMP, protocolICMPv6:
		const unreachable, unreachable6, icmpHeader = 3, 1, 8
		if len(body) < icmpHeader || protocol == protocolICMP && body[0] != unreachable || protocol == protocolICMPv6 && body[0] != unreachable6 {
			return r, false
		}
		// The error quotes the request.
		protocol, _, inner, ok := parseIP(body[icmpHeader:])
		if !ok || protocol != protocolUDP || len(inner) < udpHeader {
			return r, false
		}
		r.refused = true
		r.seq, _, ok = cutRequest(inner[udpHeader:])
		return r, ok
	}
	return r, false
}

// parseIP reads a packet of either family; of IPv6, one without extension headers.
func parseIP(b []byte) (protocol, ttl byte, body []byte, ok bool) {
	switch {
	case len(b) >= ipv6Header && b[0]>>4 == 6:
		return b[6], b[7], b[ipv6Header:], true
	case len(b) >= ipHeader && b[0]>>4 == 4:
		header := int(b[0]&15) * 4
		if header < ipHeader || len(b) < header {
			return 0, 0, nil, false
		}
		return b[9], b[8], b[header:], true
	}
	return 0, 0, nil, false
}

// cutRequest splits a payload into the number and what follows it.
func cutRequest(b []byte) (seq uint64, rest []byte, ok bool) {
	if len(b) < requestLength || [4]byte(b) != cookie {
		return 0, nil, false
	}
	return binary.BigEndian.Uint64(b[len(cookie):]), b[requestLength:], true
}
