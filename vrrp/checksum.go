package vrrp

import (
	"encoding/binary"
	"net/netip"
)

// sum adds octets to a one's complement sum (RFC 1071). Only the last piece of a
// sum may have an odd length.
func sum(acc uint32, b []byte) uint32 {
	for len(b) >= 2 {
		acc += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		acc += uint32(b[0]) << 8
	}
	return acc
}

func fold(acc uint32) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}

// pseudoHeader sums the pseudo-header of either family: both addresses, zero,
// protocol and length of the message (RFC 5798, section 5.2.8, by way of RFC 793,
// and RFC 8200, section 8.1). No message is longer than 16 bits can say.
func pseudoHeader(source, destination netip.Addr, length int) uint32 {
	acc := Protocol + uint32(length)
	if source.Is4() {
		src, dst := source.As4(), destination.As4()
		return sum(sum(acc, src[:]), dst[:])
	}
	src, dst := source.As16(), destination.As16()
	return sum(sum(acc, src[:]), dst[:])
}
