package checkbench

import (
	"fmt"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// window is how long one figure is measured.
const window = 10 * time.Second

// BenchmarkTCP measures connect checks: the time of the processor that one takes,
// and how late the latest is, as a share of its interval. -benchtime has no say: each
// is one run.
func BenchmarkTCP(b *testing.B) {
	testenv.Root(b)
	for _, c := range []struct {
		targets int
		every   time.Duration
	}{{1000, time.Second}, {5000, time.Second}, {10_000, 500 * time.Millisecond}, {100_000, 10 * time.Second}} {
		b.Run(fmt.Sprintf("targets=%d/every=%s", c.targets, c.every), func(b *testing.B) {
			f := newFarm(b, c.targets)
			p := startChecker(b)
			empty := p.resident()
			p.check(targetsAt(f, "tcp", "", c.every))
			await(b, "every target checked", 2*c.every+20*time.Second, func() bool { return f.missing.Load() == 0 })
			during(max(3*time.Second, c.every))
			measure(b, p.observed, f, c.every, max(window, 2*c.every))
			b.ReportMetric(float64(p.resident()-empty)/float64(c.targets), "B/target")
			b.ReportMetric(float64(p.descriptors()), "descriptors")
		})
	}
}

// measure reports what the checks cost that p makes of f within d.
func measure(b *testing.B, p observed, f *farm, every, d time.Duration) {
	b.Helper()
	f.measure.Store(true)
	begun, used, checks := time.Now(), p.cpu(), f.accepted.Load()
	during(d)
	took, spent, made := time.Since(begun), p.cpu()-used, f.accepted.Load()-checks
	f.measure.Store(false)
	if made == 0 {
		b.Fatal("nothing was checked")
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(made)/took.Seconds(), "checks/s")
	b.ReportMetric(float64(spent.Microseconds())/float64(made), "µs-cpu/check")
	b.ReportMetric(max(0, (time.Duration(f.longest.Load())-every).Seconds()/every.Seconds()), "intervals-late")
}
