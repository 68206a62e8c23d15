package director

import (
	"slices"
	"time"

	"github.com/haldir-lb/haldir/internal/netif"
)

const (
	// fightTime is how long a removal by another program is remembered.
	fightTime = time.Minute
	// fightMost is how many removals in that time are put right at once; after
	// that only every fightPause.
	fightMost  = 10
	fightPause = time.Second
)

// fights counts how often another program took one of our addresses away. It is
// pure, and not for concurrent use.
type fights struct {
	held    map[netif.Address]bool // after the last application
	removed map[netif.Address][]time.Time
}

// applied takes the outcome of an application and returns the addresses that were
// put back: they were held before, and had to be added again.
func (f *fights) applied(now time.Time, desired []netif.Address, result netif.AddressResult) []netif.Address {
	var back []netif.Address
	for _, a := range result.Added {
		if f.held[a] && slices.Contains(desired, a) {
			back = append(back, a)
			if f.removed == nil {
				f.removed = make(map[netif.Address][]time.Time)
			}
			f.removed[a] = append(f.recent(now, a), now)
		}
	}
	f.held = make(map[netif.Address]bool, len(desired))
	present := make(map[netif.Address]bool, len(result.Present))
	for _, p := range result.Present {
		present[p.Address] = true
	}
	for _, a := range desired {
		f.held[a] = present[a]
	}
	for a := range f.removed {
		if len(f.recent(now, a)) == 0 {
			delete(f.removed, a)
		}
	}
	return back
}

// recent are the removals that are still remembered, the last fightMost+1 of them.
func (f *fights) recent(now time.Time, a netif.Address) []time.Time {
	times := f.removed[a]
	for len(times) > 0 && (now.Sub(times[0]) > fightTime || len(times) > fightMost+1) {
		times = times[1:]
	}
	return times
}

// pause is how long to wait before the next comparison with the kernel: nothing,
// but for an address that is removed again and again.
func (f *fights) pause(now time.Time) time.Duration {
	for a := range f.removed {
		times := f.recent(now, a)
		if len(times) < fightMost {
			continue
		}
		if wait := fightPause - now.Sub(times[len(times)-1]); wait > 0 {
			return wait
		}
	}
	return 0
}

// counts says how often each address was put back within the last minute.
func (f *fights) counts(now time.Time) map[netif.Address]int {
	counts := make(map[netif.Address]int)
	for a := range f.removed {
		if n := len(f.recent(now, a)); n > 0 {
			counts[a] = n
		}
	}
	return counts
}
