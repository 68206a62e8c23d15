package arp

import "time"

// pace limits rounds, so that hundreds of addresses taken over at once overrun
// neither the socket's buffer nor a switch's control plane: some may leave
// together, the rest follow evenly. Rounds that are due earlier go first, so
// every address is announced once before any is announced twice.
type pace struct {
	interval time.Duration // between rounds in the long run
	together int           // rounds that may leave at once after a rest
	full     time.Time     // when the rest is complete
}

// defaultPace lets 256 addresses leave at once and 2,000 a second.
func defaultPace() pace { return pace{interval: 500 * time.Microsecond, together: 256} }

// next is the earliest time for the next round.
func (p *pace) next() time.Time {
	return p.full.Add(-time.Duration(p.together-1) * p.interval)
}

// take spends one round.
func (p *pace) take(now time.Time) {
	if p.full.Before(now) {
		p.full = now
	}
	p.full = p.full.Add(p.interval)
}
