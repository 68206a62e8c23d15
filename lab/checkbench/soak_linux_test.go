package checkbench

import (
	"bytes"
	"flag"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/testenv"
)

var soakFor = flag.Duration("soak", time.Minute, "how long BenchmarkSoak goes on")

// BenchmarkSoak lets a checker work on servers that answer, refuse and say nothing,
// and looks for what grows.
func BenchmarkSoak(b *testing.B) {
	testenv.Root(b)
	const each = 100
	f := newFarm(b, each)
	web, mute := listen(b), listen(b)
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go func() { _ = server.Serve(web) }()
	b.Cleanup(func() { _ = server.Close() })
	go holdAll(mute)

	p := startChecker(b)
	targets := targetsAt(f, "tcp", "", time.Second)
	add := func(kind string, options healthcheck.Options, port uint16, every time.Duration) {
		for i := range each {
			at := netipAddrPort(i, port)
			targets = append(targets, healthcheck.Target{
				ID: kind + " " + at.String(), Type: kind, Options: options, Address: at,
				Every: every, Timeout: 200 * time.Millisecond, Rise: 2, Fall: 3,
			})
		}
	}
	add("http", "", portOf(web), time.Second)
	add("redis", "", portOf(mute), 2*time.Second)
	add("tcp", "", 9, time.Second) // refused
	p.check(targets)
	await(b, "every target checked", time.Minute, func() bool { return f.missing.Load() == 0 })
	during(min(*soakFor/4, time.Minute))

	before, open, waits := p.resident(), p.descriptors(), timeWaits(b)
	for left := *soakFor; left > 0; left -= time.Minute {
		during(min(left, time.Minute))
		b.Logf("%s: %d kB resident, %d descriptors, %d sockets in TIME_WAIT", time.Now().Format(time.TimeOnly), p.resident()>>10, p.descriptors(), timeWaits(b))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(p.resident()-before)/1024, "kB-grown")
	b.ReportMetric(float64(p.descriptors()-open), "descriptors-grown")
	b.ReportMetric(float64(timeWaits(b)-waits), "TIME_WAIT-grown")
	b.ReportMetric(float64(f.accepted.Load()), "tcp-checks")
}

func listen(b *testing.B) net.Listener {
	b.Helper()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	return l
}

func portOf(l net.Listener) uint16 { return l.Addr().(*net.TCPAddr).AddrPort().Port() }

// holdAll accepts, says nothing, and closes when the other side does.
func holdAll(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			_, _ = conn.Read(make([]byte, 1))
			_, _ = conn.Read(make([]byte, 512))
			_ = conn.Close()
		}()
	}
}

// timeWaits counts the sockets of this namespace in that state.
func timeWaits(b *testing.B) int {
	b.Helper()
	table, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(table) {
		if fields := bytes.Fields(line); len(fields) > 3 && string(fields[3]) == "06" {
			n++
		}
	}
	return n
}
