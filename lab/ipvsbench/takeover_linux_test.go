package ipvsbench

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
)

// BenchmarkTakeover is how long after it became the master a director has the
// entries of services that are loaded with the address alone, beside what the kernel
// takes for the same messages.
func BenchmarkTakeover(b *testing.B) {
	size := bulk{1000, 10}
	best := 0.0
	for b.Loop() {
		kernel := applied(b, size)
		ns := bulkNetns(b)
		h, err := ipvsnl.OpenNetNS(ns.Fd())
		if err != nil {
			b.Fatal(err)
		}
		c := haldirWith(b, ns, func(special int) string { return size.haldir(special, "master") })
		await(b, h, size.key(0), func(ipvsctl.LiveService) bool { return true })
		await(b, h, size.key(size.services-1), func(s ipvsctl.LiveService) bool { return len(s.Dests) == size.servers })
		complete := time.Now()
		status, err := control.NewClient(c.socket).Status(context.Background())
		if err := errors.Join(err, h.Close()); err != nil {
			b.Fatal(err)
		}
		took := complete.Sub(status.Routers[0].Since)
		if ratio := took.Seconds() / kernel.Seconds(); best == 0 || ratio < best {
			best = ratio
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(kernel.Seconds()*1000, "ms-kernel")
			b.ReportMetric(took.Seconds()*1000, "ms-to-last-entry")
			b.ReportMetric(ratio, "takeover/kernel")
		}
	}
}

// applied is how long the kernel takes for the messages that make size.
func applied(b *testing.B, size bulk) time.Duration {
	b.Helper()
	h, err := ipvsnl.OpenNetNS(bulkNetns(b).Fd())
	if err != nil {
		b.Fatal(err)
	}
	var table ipvsctl.Table
	for i := range size.services {
		s := ipvsctl.Service{Key: size.key(i), Scheduler: "wrr"}
		for j := range size.servers {
			key := ipvsctl.DestKey{Address: netip.MustParseAddr(size.server(i, j)), Port: s.Key.Port}
			s.Dests = append(s.Dests, ipvsctl.Dest{Key: key, Forward: ipvsctl.DR, Weight: 10})
		}
		table = append(table, s)
	}
	ops := ipvsctl.Plan(table, nil, nil)
	began := time.Now()
	err = errors.Join(h.Apply(b.Context(), ops)...)
	took := time.Since(began)
	if err = errors.Join(err, h.Close()); err != nil {
		b.Fatal(err)
	}
	return took
}
