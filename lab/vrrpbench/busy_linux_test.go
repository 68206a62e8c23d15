package vrrpbench

import (
	"fmt"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// busy keeps every processor occupied, twice over, by ordinary processes.
func busy(b *testing.B) (stop func()) {
	b.Helper()
	var hogs []*exec.Cmd
	for range 2 * runtime.NumCPU() {
		hog := exec.Command("sh", "-c", "while :; do :; done")
		hog.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
		if err := hog.Start(); err != nil {
			b.Fatal(err)
		}
		hogs = append(hogs, hog)
	}
	return func() {
		for _, hog := range hogs {
			_ = hog.Process.Kill()
			_ = hog.Wait()
		}
	}
}

// lateness says how late adverts were, beyond an interval after the one before.
func lateness(late []time.Duration) string {
	at := quantile(late)
	return fmt.Sprintf("%.2f / %.2f / %.2f", ms(at(0.5)), ms(at(0.999)), ms(at(1)))
}

// BenchmarkBusyMachine measures, on the wire, how late the adverts of 20 virtual
// routers are while other processes want every processor.
func BenchmarkBusyMachine(b *testing.B) {
	haldir, keepalived := needs(b)
	const routers, interval = 20, 100 * time.Millisecond
	for b.Loop() {
		measure := func(start func(m *many) *program) string {
			m := newMany(b, routers, 1, interval)
			w := listen(b, m.b, 1, interval)
			p := start(m)
			w.all(routers)
			during(8 * time.Second)
			rest := busy(b)
			defer rest()
			during(time.Second)
			w.reset()
			during(span(60 * time.Second))
			late := w.late()
			p.kill()
			return lateness(late)
		}
		h := measure(func(m *many) *program { return m.haldir(haldir, "a") })
		k := measure(func(m *many) *program { return m.keepalived(keepalived, "a") })
		record(fmt.Sprintf("busy machine: lateness of adverts at %v, p50/p99.9/max", interval), "ms", h, k, "p99.9 at most 5")
	}
}
