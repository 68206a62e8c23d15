// Package tsc measures how fast this machine's time stamp counter runs.
//
// QEMU's emulated processors show the host's counter to the guest. A guest
// kernel that has to find out its frequency by itself, on a busy host, has been
// seen to be wrong by a factor of ten, and all its clocks with it.
package tsc

import "time"

// span is how long the counter is watched, and tries how often it is read at
// either end, to find a reading that nothing interrupted.
const (
	span  = 40 * time.Millisecond
	tries = 20
)

// KHz returns the frequency in kHz, and false where there is no such counter.
func KHz() (int64, bool) {
	if !supported {
		return 0, false
	}
	origin := time.Now()
	c0, t0 := reading(origin)
	time.Sleep(span)
	c1, t1 := reading(origin)
	if c1 <= c0 || t1 <= t0 {
		return 0, false
	}
	return int64(float64(c1-c0) / (t1 - t0).Seconds() / 1000), true
}

// reading returns the counter and the time since origin at the same instant, as
// nearly as several tries allow.
func reading(origin time.Time) (counter uint64, at time.Duration) {
	best := ^uint64(0)
	for range tries {
		before := read()
		now := time.Since(origin)
		after := read()
		if gap := after - before; gap < best {
			best, counter, at = gap, before+gap/2, now
		}
	}
	return counter, at
}
