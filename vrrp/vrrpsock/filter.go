package vrrpsock

import (
	"golang.org/x/net/bpf"

	"github.com/haldir-lb/haldir/vrrp"
)

// filter returns a program for a raw socket that accepts the packets of some
// VRIDs: other virtual routers on the link then do not wake this process. What
// else may be wrong with a packet is left to vrrp, which counts it.
func filter(vrids vrrp.VRIDs, family vrrp.Family) []bpf.Instruction {
	const accept, words = 1 << 16, len(vrrp.VRIDs{})
	var start bpf.Instruction = bpf.LoadMemShift{Off: 0} // X = length of the IPv4 header
	if family == vrrp.IPv6 {
		start = bpf.LoadConstant{Dst: bpf.RegX} // there is no header
	}
	program := []bpf.Instruction{
		start,
		bpf.LoadIndirect{Off: 1, Size: 1}, // A = VRID
		bpf.StoreScratch{Src: bpf.RegA, N: 0},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 31},
		bpf.TAX{}, // X = bit
		bpf.LoadScratch{Dst: bpf.RegA, N: 0},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 5}, // A = word
	}
	for i, word := range vrids {
		program = append(program,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(i), SkipFalse: 2},
			bpf.LoadConstant{Dst: bpf.RegA, Val: word},
			bpf.Jump{Skip: uint32(3 * (words - 1 - i))},
		)
	}
	return append(program,
		bpf.ALUOpX{Op: bpf.ALUOpShiftRight},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1},
		bpf.RetConstant{Val: accept},
		bpf.RetConstant{Val: 0},
	)
}
