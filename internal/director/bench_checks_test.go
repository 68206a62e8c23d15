package director

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/checker"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

// BenchmarkVerdict is the way of a judgement through the director of 10,000 targets,
// from its message to the changed entry in the kernel, which is the fake one here.
func BenchmarkVerdict(b *testing.B) {
	const services = 2500
	text := strings.ReplaceAll(largeText(services, 10), "\nscheduler", "\ncheck = { type = \"tcp\" }\nscheduler")
	path := filepath.Join(b.TempDir(), "haldir.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	c, err := config.Load(path, config.Options{Node: "lvs1"})
	if err != nil {
		b.Fatal(err)
	}
	n := newNode(b, c, vrrptest.NewLAN().Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1")), newFakeHost())
	defer n.end()
	n.toChecker, n.atChecker = conns(b)
	go n.check()
	n.startSpeaker()
	n.startDirector()
	targets := (<-n.targets).Targets
	tell := func(t healthcheck.Target, s healthcheck.Status) {
		at := time.Now()
		v := healthcheck.Verdict{ID: t.ID, Status: s, Since: at, Checked: at}
		if err := n.atChecker.Send(checker.KindVerdict, t.ID, v); err != nil {
			b.Fatal(err)
		}
	}
	// until waits for so many operations on the table.
	until := func(count int) {
		for done := 0; done < count; {
			if done += len(n.host.table.Log()); done < count {
				time.Sleep(100 * time.Microsecond)
			}
		}
	}
	begun := time.Now()
	for _, t := range targets {
		tell(t, healthcheck.Up)
	}
	until(services + len(targets))
	b.Logf("%d first judgements were in the table within %s", len(targets), time.Since(begun))

	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		at := targets[i*7919%len(targets)]
		begun := time.Now()
		tell(at, healthcheck.Down)
		until(1)
		took = append(took, time.Since(begun))
		b.StopTimer()
		tell(at, healthcheck.Up)
		until(1)
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// conns is a link as there is between processes.
func conns(b *testing.B) (director, checker process.Link) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET, 0)
	if err != nil {
		b.Fatal(err)
	}
	var ends [2]process.Link
	for i, fd := range pair {
		if ends[i], err = process.NewConn(os.NewFile(uintptr(fd), "link"), quiet()); err != nil {
			b.Fatal(err)
		}
	}
	return ends[0], ends[1]
}
