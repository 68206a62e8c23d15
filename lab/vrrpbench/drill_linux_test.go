package vrrpbench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/process"
)

var intervals = []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second}

// both runs a drill with haldir and with keepalived.
func both(b *testing.B, drill func(haldir, keepalived string)) {
	b.Helper()
	haldir, keepalived := needs(b)
	drill(haldir, "")
	drill(haldir, keepalived)
}

// count is how many drills there are at an interval: those at a second are slow.
func count(interval time.Duration, most int) int {
	if interval >= time.Second {
		most /= 5
	}
	return drills(most)
}

// BenchmarkHostDeath cuts the master's cable and kills its processes, again and
// again, each time on the other node.
func BenchmarkHostDeath(b *testing.B) {
	for _, interval := range intervals {
		b.Run(interval.String(), func(b *testing.B) {
			for b.Loop() {
				outages := map[string][]time.Duration{}
				both(b, func(haldir, keepalived string) {
					p := newPair(b, interval, false, haldir, keepalived)
					for i := range count(interval, 50) {
						dead, heir := i%2, (i+1)%2
						p.mark(fmt.Sprint("death ", i))
						p.crash(dead)
						p.servedBy(heir)
						p.mark(fmt.Sprint("return ", i))
						p.reboot(dead)
						p.joined(dead)
						p.servedBy(heir)
					}
					for _, r := range p.account() {
						if strings.HasPrefix(r.Phase, "death") {
							outages[p.of()] = append(outages[p.of()], r.Gap.Duration)
						}
					}
				})
				required := "no longer than keepalived"
				if interval == 100*time.Millisecond {
					required += fmt.Sprintf(", at most %.0f", ms(3*interval+6*interval/256+5*time.Millisecond))
				}
				h, k := outages["haldir"], outages["keepalived"]
				record(fmt.Sprintf("death of a host at %v, %d drills: outage p50/p99/max", interval, len(h)), "ms", quantiles(h), quantiles(k), required)
			}
		})
	}
}

// joined waits until a node that has come back is a backup that would take over.
func (p *pair) joined(i int) {
	p.Helper()
	if p.keepalived != "" {
		// It is backup as soon as it runs and has carrier; it does not say when.
		during(max(500*time.Millisecond, 3*p.Spec.Lab.Interval.D()))
		return
	}
	_, err := p.nodes[i].AwaitState(p.ctx, "backup")
	p.must(err)
	during(p.Spec.Lab.Interval.D())
}

// BenchmarkProcessDeath kills one process of the master, again and again: each of
// haldir's in turn, and keepalived's only one.
func BenchmarkProcessDeath(b *testing.B) {
	for _, interval := range intervals {
		b.Run(interval.String(), func(b *testing.B) {
			haldir, keepalived := needs(b)
			for b.Loop() {
				for _, role := range []process.Role{process.Speaker, process.Director, process.Checker} {
					killOne(b, interval, haldir, role)
				}
				killKeepalived(b, interval, haldir, keepalived)
			}
		})
	}
}

func killOne(b *testing.B, interval time.Duration, haldir string, role process.Role) {
	p := newPair(b, interval, true, haldir, "")
	watch, err := p.WatchARP(p.Spec.VIP(), 10*time.Millisecond)
	p.must(err)
	before, err := p.nodes[0].AwaitState(p.ctx, "master")
	p.must(err)
	n := count(interval, 50)
	p.mark("kills")
	for range n {
		_, err := p.nodes[0].Kill(role)
		p.must(err)
		// One that dies younger than this again and again is restarted with delays.
		during(500 * time.Millisecond)
	}
	p.servedBy(0)
	after, err := p.nodes[0].AwaitState(p.ctx, "master")
	p.must(err)
	other, err := p.nodes[1].AwaitState(p.ctx, "backup")
	p.must(err)
	changes := "0"
	if !after.Routers[0].Since.Equal(before.Routers[0].Since) {
		changes = "some: " + string(other.Routers[0].Reason)
	}
	owners, err := watch.Stop()
	p.must(err)
	lost := uint64(0)
	for _, r := range p.account() {
		if r.Phase == "kills" {
			lost += r.Failed()
		}
	}
	required := "0, 0, 0"
	if interval < 100*time.Millisecond {
		required = "0 lost, 0 with two owners"
	}
	record(fmt.Sprintf("%d x SIGKILL of the %s at %v: requests lost, role changes, probes with two owners", n, role, interval), "",
		fmt.Sprintf("%d, %s, %d", lost, changes, len(owners.Conflicts)), "see below", required)
}

// killKeepalived kills all its processes on the master, which stays up.
func killKeepalived(b *testing.B, interval time.Duration, haldir, keepalived string) {
	p := newPair(b, interval, true, haldir, keepalived)
	watch, err := p.WatchARP(p.Spec.VIP(), 10*time.Millisecond)
	p.must(err)
	p.mark("kill")
	p.programs[0].kill()
	p.master(1)
	const watched = 5 * time.Second
	during(watched)
	owners, err := watch.Stop()
	p.must(err)
	lost := uint64(0)
	for _, r := range p.account() {
		if r.Phase == "kill" {
			lost += r.Failed()
		}
	}
	both := time.Duration(0)
	if n := len(owners.Conflicts); n > 0 {
		both = owners.Conflicts[n-1].At.Sub(owners.Conflicts[0].At)
	}
	record(fmt.Sprintf("SIGKILL of keepalived at %v: requests lost, time with two owners within %v", interval, watched), "",
		"-", fmt.Sprintf("%d, %.1f s", lost, both.Seconds()), "-")
}

// BenchmarkPlanned stops the better node in order and starts it again.
func BenchmarkPlanned(b *testing.B) {
	for _, interval := range intervals[1:] {
		b.Run(interval.String(), func(b *testing.B) {
			for b.Loop() {
				type cost struct {
					clean, all int
					lost       uint64
					worst      time.Duration
				}
				costs := map[string]*cost{}
				both(b, func(haldir, keepalived string) {
					p := newPair(b, interval, true, haldir, keepalived)
					for i := range count(interval, 100) {
						p.mark(fmt.Sprint("hand-over ", i))
						p.stop(0)
						p.servedBy(1)
						p.mark(fmt.Sprint("return ", i))
						p.start(0)
						p.master(0)
						p.servedBy(0)
					}
					for _, r := range p.account() {
						kind, _, _ := strings.Cut(r.Phase, " ")
						c := costs[p.of()+kind]
						if c == nil {
							c = &cost{}
							costs[p.of()+kind] = c
						}
						c.all++
						if r.Failed() == 0 {
							c.clean++
						}
						c.lost += r.Failed()
						c.worst = max(c.worst, r.Gap.Duration)
					}
				})
				say := func(who, kind string) string {
					c := costs[who+kind]
					if c == nil {
						return "-"
					}
					return fmt.Sprintf("%d of %d, %d lost, %.1f ms dark", c.clean, c.all, c.lost, ms(c.worst))
				}
				for _, kind := range []struct{ name, words string }{{"hand-over", "planned hand-over"}, {"return", "return of a better master"}} {
					record(fmt.Sprintf("%s at %v: without loss, worst", kind.words, interval), "", say("haldir", kind.name), say("keepalived", kind.name), "all, 0 lost")
				}
			}
		})
	}
}
