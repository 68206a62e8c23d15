package vrrpsock

import (
	"slices"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/haldir-lb/haldir/vrrp"
)

func TestFilterAcceptsItsVRIDsAndNoOther(t *testing.T) {
	for _, test := range []struct {
		family vrrp.Family
		packet []byte
		vrid   int // where it is
	}{
		{vrrp.IPv4, withOption, 25},
		{vrrp.IPv6, withOption[24:], 1},
	} {
		for _, set := range [][]uint8{{}, {1}, {255}, {51}, {31, 32, 33}, {1, 64, 65, 128, 200, 255}} {
			var vrids vrrp.VRIDs
			for _, v := range set {
				vrids.Add(v)
			}
			vm, err := bpf.NewVM(filter(vrids, test.family))
			if err != nil {
				t.Fatal(err)
			}
			packet := slices.Clone(test.packet)
			for v := range 256 {
				packet[test.vrid] = byte(v)
				n, err := vm.Run(packet)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := n > 0, slices.Contains(set, uint8(v)); got != want {
					t.Errorf("%v filter of %v accepts VRID %d: %v, want %v", test.family, set, v, got, want)
				}
			}
			if n, _ := vm.Run(packet[:test.vrid]); n != 0 {
				t.Errorf("%v filter of %v accepts a packet without VRID", test.family, set)
			}
		}
	}
}
