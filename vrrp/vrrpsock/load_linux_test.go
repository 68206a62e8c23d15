package vrrpsock_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/vrrp"
)

// BenchmarkManyRouters reports what part of a CPU 255 routers on one link at
// 100 ms take, as masters and together with a second node's backups. One
// iteration is one second.
func BenchmarkManyRouters(b *testing.B) {
	for _, nodes := range []int{1, 2} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			s := newSegment(b)
			var speakers []*vrrp.Speaker
			for i := range nodes {
				h := s.host(fmt.Sprint("h", i), netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}))
				sp := vrrp.NewSpeaker(h, func(vrrp.Transition) {}, slog.New(slog.DiscardHandler))
				speakers = append(speakers, sp)
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error, 1)
				go func() { ended <- sp.Run(ctx) }()
				b.Cleanup(func() {
					cancel()
					if err := <-ended; err != nil {
						b.Error(err)
					}
				})
				var set []vrrp.RouterConfig
				for vrid := 1; vrid <= 255; vrid++ {
					cfg := config(uint8(200-i), 100*time.Millisecond)
					cfg.Name, cfg.VRID = fmt.Sprint("r", vrid), uint8(vrid)
					set = append(set, cfg)
				}
				sp.Set(set, nil)
			}
			eventually(b, "255 masters", func() bool { return sent(b, speakers[0]) > 255 })
			before, start, cpu := sent(b, speakers[0]), time.Now(), cpuTime(b)
			for b.Loop() {
				<-time.After(time.Second)
			}
			elapsed := time.Since(start).Seconds()
			b.ReportMetric(100*(cpuTime(b)-cpu).Seconds()/elapsed, "cpu-%")
			b.ReportMetric(float64(sent(b, speakers[0])-before)/elapsed, "adverts/s")
		})
	}
}

func sent(b *testing.B, s *vrrp.Speaker) (n uint64) {
	b.Helper()
	all, err := s.Status(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range all {
		n += r.Sent
	}
	return n
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
