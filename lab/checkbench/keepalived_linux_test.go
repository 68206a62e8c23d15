package checkbench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// BenchmarkTCPBesideKeepalived has keepalived and the checker make the same connect
// checks, one after the other, on one machine. It needs IPVS, which keepalived does
// not check without.
func BenchmarkTCPBesideKeepalived(b *testing.B) {
	testenv.Root(b)
	testenv.IPVS(b)
	for _, count := range []int{200, 1000} {
		b.Run(fmt.Sprintf("keepalived/targets=%d", count), func(b *testing.B) {
			f := newFarm(b, count)
			p := startKeepalived(b, f)
			await(b, "every target checked", 5*time.Minute, func() bool { return f.missing.Load() == 0 })
			during(5 * time.Second)
			measure(b, p, f, time.Second, 2*window)
			b.ReportMetric(float64(p.resident())/float64(count), "B/target")
		})
		b.Run(fmt.Sprintf("haldir/targets=%d", count), func(b *testing.B) {
			f := newFarm(b, count)
			p := startChecker(b)
			p.check(targetsAt(f, "tcp", "", time.Second))
			await(b, "every target checked", 5*time.Minute, func() bool { return f.missing.Load() == 0 })
			during(5 * time.Second)
			measure(b, p.observed, f, time.Second, 2*window)
			b.ReportMetric(float64(p.resident())/float64(count), "B/target")
		})
	}
}

// startKeepalived has keepalived check the addresses of a farm once a second, and
// returns its process for checks.
func startKeepalived(b *testing.B, f *farm) observed {
	b.Helper()
	name, err := exec.LookPath("keepalived")
	if err != nil {
		name = "/usr/sbin/keepalived"
	}
	var conf strings.Builder
	fmt.Fprintf(&conf, "virtual_server 127.0.0.1 9999 {\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n")
	for i := range f.visits {
		fmt.Fprintf(&conf, " real_server %s %d {\n  TCP_CHECK {\n   connect_timeout 1\n  }\n }\n", addressOf(i), f.port)
	}
	conf.WriteString("}\n")
	folder := b.TempDir()
	path := filepath.Join(folder, "keepalived.conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(name, "-n", "-l", "-C", "-f", path, "-p", filepath.Join(folder, "pid"), "-c", filepath.Join(folder, "checkers.pid"))
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
		if b.Failed() {
			text, _ := os.ReadFile(log.Name())
			b.Logf("keepalived said:\n%.4000s", text)
		}
	})
	child := 0
	await(b, "keepalived has a process for checks", time.Minute, func() bool {
		text, err := os.ReadFile(filepath.Join(folder, "checkers.pid"))
		if err != nil {
			return false
		}
		child, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return child > 0
	})
	return observed{tb: b, pid: child}
}
