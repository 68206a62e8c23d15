package healthcheck

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkBoard is the loop's own work for one check among 100,000 targets.
func BenchmarkBoard(b *testing.B) {
	now := time.Unix(1000, 0)
	board := newBoard(now, concurrency, rand.New(rand.NewPCG(1, 1)), checkerCache{}.prepare)
	var targets []Target
	for i := range 100_000 {
		targets = append(targets, target(fmt.Sprintf("tcp 192.0.2.1:%d", i)))
	}
	board.set(now, targets, nil)
	b.ReportAllocs()
	for checks := 0; checks < b.N; {
		next, _ := board.deadline()
		start, _ := board.advance(next)
		for _, e := range start {
			board.finish(nil, next, e, e.run, pass, time.Millisecond)
		}
		checks += len(start)
	}
}

// BenchmarkTCP is one whole check of a server on this host.
func BenchmarkTCP(b *testing.B) {
	address := listen(b, discard)
	b.ReportAllocs()
	for b.Loop() {
		if r := checkHandshake(b.Context(), time.Now(), Target{Address: address}); r.Outcome != Pass {
			b.Fatalf("result = %+v", r)
		}
	}
}
