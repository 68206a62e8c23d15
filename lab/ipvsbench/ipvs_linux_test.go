package ipvsbench

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
)

// BenchmarkIPVS runs haldir and keepalived with the same services, one after the
// other in namespaces of their own: how long it takes from the start, and from the
// change of one weight, until the kernel has the last entry; and their memory.
func BenchmarkIPVS(b *testing.B) {
	for _, size := range []bulk{{1000, 10}, {10000, 4}} {
		b.Run(fmt.Sprintf("%dx%d", size.services, size.servers), func(b *testing.B) {
			for b.Loop() {
				ours := measure(b, size, startHaldir)
				theirs := measure(b, size, startKeepalived)
				b.ReportMetric(0, "ns/op")
				ours.report(b, "haldir")
				theirs.report(b, "keepalived")
				b.ReportMetric(ours.loaded.Seconds()/theirs.loaded.Seconds(), "load-ratio")
				b.ReportMetric((ours.started+ours.loaded).Seconds()/(theirs.started+theirs.loaded).Seconds(), "start-to-last-ratio")
				b.ReportMetric(ours.weight.Seconds()/theirs.weight.Seconds(), "weight-ratio")
			}
		})
	}
}

// figures are what was measured of one.
type figures struct {
	started, loaded time.Duration // to the first entry, and from there to the last
	weight          time.Duration
	memory, after   int // KiB, before and after the reloads
	reloads         int
}

func (f figures) report(b *testing.B, who string) {
	b.ReportMetric(f.started.Seconds()*1000, who+"-ms-start")
	b.ReportMetric(f.loaded.Seconds()*1000, who+"-ms-load")
	b.ReportMetric(f.weight.Seconds()*1000, who+"-ms-weight")
	b.ReportMetric(float64(f.memory)/1024, who+"-MB")
	b.ReportMetric(float64(f.after)/1024, fmt.Sprintf("%s-MB-after-%d-reloads", who, f.reloads))
}

// measure starts a daemon, changes a weight a few times and looks at its memory.
func measure(b *testing.B, size bulk, start func(*testing.B, *testenv.Netns, bulk) contender) figures {
	b.Helper()
	ns := bulkNetns(b)
	h, err := ipvsnl.OpenNetNS(ns.Fd())
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	began := time.Now()
	c := start(b, ns, size)
	await(b, h, size.key(0), func(ipvsctl.LiveService) bool { return true })
	f := figures{started: time.Since(began), reloads: bulkReloads()}
	began = time.Now()
	await(b, h, size.key(size.services-1), func(s ipvsctl.LiveService) bool { return len(s.Dests) == size.servers })
	f.loaded = time.Since(began)
	settle := bulkSettle()
	during(settle)
	f.memory = c.memory(b)
	middle := size.key(size.services / 2)
	for i := range f.reloads {
		special := 20 + i%2
		if err := os.WriteFile(c.config, []byte(c.text(special)), 0o600); err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		if err := syscall.Kill(c.pid, syscall.SIGHUP); err != nil {
			b.Fatal(err)
		}
		await(b, h, middle, func(s ipvsctl.LiveService) bool {
			return len(s.Dests) == size.servers && s.Dests[size.servers-1].Weight == uint32(special)
		})
		if took := time.Since(began); f.weight == 0 || took < f.weight {
			f.weight = took
		}
		during(300 * time.Millisecond) // a daemon may have more to do
	}
	during(settle)
	f.after = c.memory(b)
	return f
}

// bulkReloads is how many reloads a benchmark makes.
func bulkReloads() int {
	if n, err := strconv.Atoi(os.Getenv("HALDIR_BENCH_RELOADS")); err == nil {
		return n
	}
	return 5
}

// bulkSettle is for how long a daemon may give back what it does not need any more,
// before its memory is looked at.
func bulkSettle() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("HALDIR_BENCH_SETTLE")); err == nil {
		return d
	}
	return 40 * time.Second
}
