package ipvsnl_test

import (
	"errors"
	"fmt"
	"net"
	"testing"

	moby "github.com/moby/ipvs"

	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

// BenchmarkKernel loads and reads a table of 1,000 services with 10 servers
// each. The named library, which asks one by one, is the yardstick.
func BenchmarkKernel(b *testing.B) {
	table := ipvstest.Pools(1000, 10)
	// Each load is into a new namespace: the kernel keeps deleted destinations
	// for two minutes and searches them at each addition.
	b.Run("load", func(b *testing.B) {
		ops := ipvsctl.Plan(table, nil, nil)
		for b.Loop() {
			b.StopTimer()
			h, _ := openKernel(b)
			b.StartTimer()
			if err := errors.Join(h.Apply(b.Context(), ops)...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		h, _ := openKernel(b)
		reconcile(b, h, table, nil)
		for b.Loop() {
			if live, err := h.Read(b.Context()); err != nil || len(live) != len(table) {
				b.Fatalf("%d services, %v", len(live), err)
			}
		}
	})
	b.Run("one weight", func(b *testing.B) {
		h, _ := openKernel(b)
		reconcile(b, h, table, nil)
		for b.Loop() {
			op := ipvsctl.Op{Kind: ipvsctl.UpdateDest, Service: table[500], Dest: table[500].Dests[5]}
			op.Dest.Weight++
			if err := errors.Join(h.Apply(b.Context(), []ipvsctl.Op{op})...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("load with moby", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			_, ns := openKernel(b)
			other, err := moby.New(fmt.Sprintf("/proc/self/fd/%d", ns.Fd()))
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			loadWithMoby(b, other, table)
			other.Close()
		}
	})
}

func loadWithMoby(b *testing.B, h *moby.Handle, table ipvsctl.Table) {
	b.Helper()
	for _, s := range table {
		m := &moby.Service{AddressFamily: 2, Protocol: uint16(s.Key.Protocol), Address: net.IP(s.Key.Address.AsSlice()),
			Port: s.Key.Port, SchedName: s.Scheduler, Netmask: 0xffffffff}
		if err := h.NewService(m); err != nil {
			b.Fatal(err)
		}
		for _, d := range s.Dests {
			m2 := &moby.Destination{AddressFamily: 2, Address: net.IP(d.Key.Address.AsSlice()), Port: d.Key.Port, Weight: int(d.Weight), ConnectionFlags: 3}
			if err := h.NewDestination(m, m2); err != nil {
				b.Fatal(err)
			}
		}
	}
}
