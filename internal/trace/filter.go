package trace

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

// snap is how much of a frame is looked at: all headers of a tunnel's packet.
const snap = 192

// ofAddress lets frames pass that carry the address as source or destination, or
// a packet in a packet, of which more is looked at later.
func ofAddress(addr netip.Addr) []bpf.Instruction {
	etherType, protocolAt, sourceAt := uint32(etherIPv4), uint32(etherLen+9), uint32(etherLen+12)
	if !addr.Is4() {
		etherType, protocolAt, sourceAt = etherIPv6, etherLen+6, etherLen+8
	}
	const headroom = 3 // of the checks below, before the addresses
	octets := addr.AsSlice()
	words := len(octets) / 4
	// Each address takes two instructions for each word of 4 bytes.
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherType, SkipFalse: uint8(headroom + 4*words)},
		bpf.LoadAbsolute{Off: protocolAt, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoIPIP, SkipTrue: uint8(1 + 4*words + 1)},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoIPv6, SkipTrue: uint8(4*words + 1)},
	}
	for end := range 2 {
		for i := range words {
			left := words - i - 1 // words of this address after this one, which a mismatch skips
			load := bpf.LoadAbsolute{Off: sourceAt + uint32(end*len(octets)+4*i), Size: 4}
			test := bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(octets[4*i:]), SkipFalse: uint8(2 * left)}
			if left == 0 {
				// Whole: take it. After the source come the destination's instructions
				// and the refusal.
				test.SkipTrue = uint8(2*words*(1-end) + 1)
			}
			program = append(program, load, test)
		}
	}
	return append(program, bpf.RetConstant{Val: 0}, bpf.RetConstant{Val: snap})
}
