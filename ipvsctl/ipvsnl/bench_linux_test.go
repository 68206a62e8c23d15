package ipvsnl_test

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	moby "github.com/moby/ipvs"

	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
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

// BenchmarkLoad loads tables into new namespaces, each time beside a replay of the
// same messages: what it takes longer is reading, planning and encoding.
func BenchmarkLoad(b *testing.B) {
	for _, size := range []struct{ services, servers int }{{1000, 10}, {10000, 4}} {
		b.Run(fmt.Sprintf("%dx%d", size.services, size.servers), func(b *testing.B) {
			table := ipvstest.Pools(size.services, size.servers)
			ops := ipvsctl.Plan(table, nil, nil)
			best := map[string]time.Duration{}
			note := func(what string, took time.Duration) {
				if before, known := best[what]; !known || took < before {
					best[what] = took
				}
			}
			for b.Loop() {
				_, ns := openKernel(b)
				replay, err := ipvsnl.NewReplay(ns.Fd(), ops)
				if err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				err = replay.Run()
				note("replay", time.Since(began))
				if err := errors.Join(err, replay.Close()); err != nil {
					b.Fatal(err)
				}
				h, _ := openKernel(b)
				began = time.Now()
				live, err := h.Read(b.Context())
				if err == nil {
					err = errors.Join(h.Apply(b.Context(), ipvsctl.Plan(table, live, nil))...)
				}
				note("load", time.Since(began))
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(best["replay"].Seconds()*1000, "ms-replay")
			b.ReportMetric(best["load"].Seconds()*1000, "ms-load")
			b.ReportMetric(best["load"].Seconds()/best["replay"].Seconds(), "load/replay")
		})
	}
}
