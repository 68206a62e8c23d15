package vrrp

import "time"

// latenessBounds are the upper bounds of the buckets of Lateness.
var latenessBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
}

// LatenessBounds returns the upper bounds of the buckets of Lateness, ascending.
func LatenessBounds() []time.Duration { return latenessBounds[:] }

// Lateness says how late the adverts of all routers together were sent, counted
// from when each was due.
type Lateness struct {
	// Buckets counts the adverts that were no later than the bound of the same
	// index and later than the one before; the last has those beyond all bounds.
	Buckets [len(latenessBounds) + 1]uint64 `json:"buckets"`
	Sum     time.Duration                   `json:"sum"`
	Max     time.Duration                   `json:"max"`
	Last    time.Duration                   `json:"last"`
}

func (l *Lateness) add(late time.Duration) {
	i := 0
	for i < len(latenessBounds) && late > latenessBounds[i] {
		i++
	}
	l.Buckets[i]++
	l.Sum += late
	l.Last, l.Max = late, max(l.Max, late)
}

// Count returns how many adverts were counted.
func (l *Lateness) Count() uint64 {
	n := uint64(0)
	for _, b := range l.Buckets {
		n += b
	}
	return n
}
