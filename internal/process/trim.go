package process

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// settleAfter is when a process counts as started.
	settleAfter = 5 * time.Second
	// trimEvery is how often it is looked whether memory can be given back.
	trimEvery = 30 * time.Second
	// trimFrom is how much free memory is worth the work, in bytes.
	trimFrom = 1 << 20
	// collectAt is the growth of the heap in percent at which garbage is collected,
	// but in the checker, which may have much to do.
	collectAt = 25
)

// StaySmall keeps a process from holding memory that it needed once: what reading
// the configuration and the start took, and what a takeover of many routers leaves.
// It returns when ctx ends. What it does costs the speaker no deadline: nothing in
// it stops the process for longer than a collection does. The program's own pages stay:
// who takes them up again may wait for a disk, and adverts wait for nothing.
func StaySmall(ctx context.Context, role Role) {
	if role != Checker {
		debug.SetGCPercent(collectAt)
	}
	for wait := settleAfter; ; wait = trimEvery {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if wait == settleAfter || idle() >= trimFrom {
			debug.FreeOSMemory()
		}
	}
}

// idle returns how many bytes the heap holds and does not use.
func idle() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(samples)
	n := uint64(0)
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			n += s.Value.Uint64()
		}
	}
	return n
}
