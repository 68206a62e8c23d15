package checkbench

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func netipAddrPort(i int, port uint16) netip.AddrPort { return netip.AddrPortFrom(addressOf(i), port) }

// await waits until something is so.
func await(b *testing.B, what string, patience time.Duration, so func() bool) {
	b.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for bound := time.Now().Add(patience); !so(); <-tick.C {
		if time.Now().After(bound) {
			b.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// during lets time pass.
func during(d time.Duration) { <-time.After(d) }
