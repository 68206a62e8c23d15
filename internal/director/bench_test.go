package director

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

// largeText is a configuration of a director that is alone: n services with four
// real servers each. The weight is that of the last one in the middle.
func largeText(n, weight int) string {
	var b strings.Builder
	b.WriteString("[[vrrp]]\nname = \"edge\"\ninterface = \"eth0\"\nrouter_id = 51\npriority = 150\ninterval = \"100ms\"\naddresses = [\"192.0.2.100/24\"]\n")
	for i := range n {
		fmt.Fprintf(&b, "\n[[service]]\nname = \"s%05d\"\nlisten = [\"192.0.2.100:%d\"]\nscheduler = \"wrr\"\n", i, 10000+i)
		for j := range 4 {
			w := 10
			if i == n/2 && j == 3 {
				w = weight
			}
			fmt.Fprintf(&b, "[[service.real]]\naddress = \"10.%d.%d.%d\"\nweight = %d\n", j, i/250, i%250+1, w)
		}
	}
	return b.String()
}

// BenchmarkReload is a change of one weight, from the call to the kernel, which is
// the fake one here.
func BenchmarkReload(b *testing.B) {
	for _, services := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(services), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "haldir.toml")
			write := func(weight int) {
				if err := os.WriteFile(path, []byte(largeText(services, weight)), 0o600); err != nil {
					b.Fatal(err)
				}
			}
			write(10)
			load := func(before *config.Config) (*config.Config, error) {
				return config.LoadAgain(path, config.Options{Node: "lvs1"}, before)
			}
			first, err := load(nil)
			if err != nil {
				b.Fatal(err)
			}
			n := newNode(b, first, vrrptest.NewLAN().Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1")), newFakeHost())
			defer n.end()
			n.startSpeaker()
			n.startDirector()
			for {
				table, err := n.host.Table(b.Context())
				if err == nil && len(table) == services {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			n.director.Load = load
			if _, err := n.director.Reload(b.Context()); err != nil {
				b.Fatal(err)
			}
			weight := 10
			var touched time.Time
			n.host.table.Refuse(func(ipvsctl.Op) error { touched = time.Now(); return nil })
			var took []time.Duration
			for b.Loop() {
				b.StopTimer()
				weight = 30 - weight
				write(weight)
				n.host.table.Log()
				n.host.table.Reads()
				runtime.GC()
				b.StartTimer()
				began := time.Now()
				result, err := n.director.Reload(context.Background())
				if err != nil || len(result.Changes) != 1 {
					b.Fatal(result, err)
				}
				b.StopTimer()
				ops, reads := n.host.table.Log(), n.host.table.Reads()
				if len(ops) != 1 {
					b.Fatalf("%d operations, want 1", len(ops))
				}
				b.ReportMetric(float64(reads), "services-read")
				took = append(took, touched.Sub(began))
				b.StartTimer()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-to-kernel")
			b.ReportMetric(float64(took[0].Microseconds())/1000, "ms-at-best")
		})
	}
}
