package vrrpbench

import (
	"fmt"
	"testing"
	"time"
)

// figures are what many virtual routers cost one program.
type figures struct {
	start, death         time.Duration // until all are master
	cpuMaster, cpuBackup float64       // percent of a core
	pss                  float64       // MB of the master's processes
	sockets              int
}

// BenchmarkManyRouters runs 255 virtual routers on one link and 1,000 over four,
// with one address each, on a master and a backup.
func BenchmarkManyRouters(b *testing.B) {
	haldir, keepalived := needs(b)
	for _, size := range []struct{ count, links int }{{255, 1}, {1000, 4}} {
		for _, interval := range []time.Duration{time.Second, 100 * time.Millisecond} {
			name := fmt.Sprintf("%d at %v", size.count, interval)
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					m := newMany(b, size.count, size.links, interval)
					h := m.measure(func(node string) *program { return m.haldir(haldir, node) })
					m = newMany(b, size.count, size.links, interval)
					k := m.measure(func(node string) *program { return m.keepalived(keepalived, node) })
					m.report(name, h, k)
				}
			})
		}
	}
}

func (m *many) measure(start func(node string) *program) (f figures) {
	m.Helper()
	atB, atA := listen(m.B, m.b, m.links, m.interval), listen(m.B, m.a, m.links, m.interval)
	began := time.Now()
	a := start("a")
	f.start = atB.all(m.count).Sub(began)
	b := start("b")
	during(20 * time.Second) // announcements, and what a start leaves behind
	f.sockets = m.rawSockets()
	over := span(20 * time.Second)
	before, since := b.cpu(), time.Now()
	f.cpuMaster = a.load(over)
	f.cpuBackup = 100 * (b.cpu() - before).Seconds() / time.Since(since).Seconds()
	f.pss = a.pss()
	atA.reset()
	died := time.Now()
	a.kill()
	f.death = atA.all(m.count).Sub(died)
	b.stop()
	return f
}

func (m *many) report(name string, h, k figures) {
	percent := func(v float64) string { return fmt.Sprintf("%.1f", v) }
	whole := func(d time.Duration) string { return fmt.Sprintf("%.0f", ms(d)) }
	record(name+": CPU of the master", "% of a core", percent(h.cpuMaster), percent(k.cpuMaster), "no more than keepalived")
	record(name+": CPU of the backup", "% of a core", percent(h.cpuBackup), percent(k.cpuBackup), "no more than keepalived")
	limit := "-"
	if m.count == 1000 {
		limit = "at most 30"
	}
	record(name+": memory (PSS) of the master", "MB", percent(h.pss), percent(k.pss), limit)
	bound := func(priority int) string {
		return fmt.Sprintf("at most %.0f, 1.1 x %.0f", 1.1*ms(m.floor(priority)), ms(m.floor(priority)))
	}
	record(name+": all master after the start", "ms", whole(h.start), whole(k.start), bound(priorityA))
	record(name+": all master after the death", "ms", whole(h.death), whole(k.death), bound(priorityB))
	record(name+": sockets for adverts", "", fmt.Sprint(h.sockets), fmt.Sprint(k.sockets), fmt.Sprintf("one for each of %d links", m.links))
	m.ReportMetric(h.cpuMaster/k.cpuMaster, "cpu-ratio")
	m.ReportMetric(h.pss, "MB")
}
