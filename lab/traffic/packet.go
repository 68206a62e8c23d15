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
// address and port. Host numbers 1 to 254 of the first /24 are used.
func flow(sources netip.Prefix, seq uint64) netip.AddrPort {
	b := sources.Masked().Addr().As4()
	b[3] = byte(1 + seq%254)
	return netip.AddrPortFrom(netip.AddrFrom4(b), uint16(firstPort+seq/254%ports))
}

const (
	ipHeader  = 20
	udpHeader = 8
	seqLength = 8
	ownTTL    = 64

	protocolICMP = 1
	protocolUDP  = 17
)

// cookie begins every payload, so that stray packets are not taken for ours.
var cookie = [4]byte{'H', 'l', 'd', 'r'}

// requestLength is the length of a request's payload.
const requestLength = len(cookie) + seqLength

// packetLength is the length of a request with its headers.
const packetLength = ipHeader + udpHeader + requestLength

// buildRequest writes a request into b, as an IPv4 packet whose identification
// and header checksum are the kernel's to fill in.
func buildRequest(b *[packetLength]byte, from, to netip.AddrPort, seq uint64) {
	*b = [packetLength]byte{0: 0x45, 8: ownTTL, 9: protocolUDP}
	binary.BigEndian.PutUint16(b[2:], uint16(packetLength))
	src, dst := from.Addr().As4(), to.Addr().As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	udp := b[ipHeader:]
	binary.BigEndian.PutUint16(udp[0:], from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(packetLength-ipHeader))
	putRequest(udp[udpHeader:], seq)
	sum := onesSum(b[12:20], protocolUDP+uint32(packetLength-ipHeader))
	check := ^fold16(onesSum(udp, sum))
	if check == 0 {
		check = 0xffff // zero would mean that there is none
	}
	binary.BigEndian.PutUint16(udp[6:], check)
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

// parseReply reads an IPv4 packet that arrived at one of the flow sources. ok is
// false for packets that are none of ours.
func parseReply(b []byte) (r reply, ok bool) {
	protocol, body, ok := parseIPv4(b)
	if !ok {
		return r, false
	}
	r.ttl = b[8]
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
	case protocolICMP:
		const unreachable, icmpHeader = 3, 8
		if len(body) < icmpHeader || body[0] != unreachable {
			return r, false
		}
		// The error quotes the request.
		protocol, inner, ok := parseIPv4(body[icmpHeader:])
		if !ok || protocol != protocolUDP || len(inner) < udpHeader {
			return r, false
		}
		r.refused = true
		r.seq, _, ok = cutRequest(inner[udpHeader:])
		return r, ok
	}
	return r, false
}

func parseIPv4(b []byte) (protocol byte, body []byte, ok bool) {
	if len(b) < ipHeader || b[0]>>4 != 4 {
		return 0, nil, false
	}
	header := int(b[0]&15) * 4
	if header < ipHeader || len(b) < header {
		return 0, nil, false
	}
	return b[9], b[header:], true
}

// cutRequest splits a payload into the number and what follows it.
func cutRequest(b []byte) (seq uint64, rest []byte, ok bool) {
	if len(b) < requestLength || [4]byte(b) != cookie {
		return 0, nil, false
	}
	return binary.BigEndian.Uint64(b[len(cookie):]), b[requestLength:], true
}
