package director

import (
	"net/netip"
	"slices"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

// exchangeEnd says until when two directors may both have the IPVS entries of a
// router, because they hand it over make-before-break; zero if they do not. The one
// that gives way needs three intervals to find its successor, waits for its
// announcement for yieldBound at most, and then changes its kernel.
func exchangeEnd(v config.VRRP, role Role, now time.Time) time.Time {
	switch {
	case role.State == vrrp.Leaving, role.Yielding:
		return now.Add(yieldBound)
	case role.State == vrrp.Master:
		if end := role.Since.Add(3*v.Interval + 2*yieldBound); now.Before(end) {
			return end
		}
	}
	return time.Time{}
}

// rest, while two directors have the entries, gives real servers that are directors as well no new connections: such a
// one would not serve them while it has the entries too, but schedule them once more, in
// the worst case back to where they came from. A pool that has nobody else
// stays as it is.
func rest(dests []ipvsctl.Dest, directors []netip.Addr) {
	resting := func(d ipvsctl.Dest) bool { return slices.Contains(directors, d.Key.Address) }
	if !slices.ContainsFunc(dests, func(d ipvsctl.Dest) bool { return d.Weight > 0 && !resting(d) }) {
		return
	}
	for i := range dests {
		if resting(dests[i]) {
			dests[i].Weight = 0
		}
	}
}

// directors are the addresses of the other directors: where they were heard from,
// and what they serve at.
func (p *peers) directors(now time.Time) []netip.Addr {
	var all []netip.Addr
	for _, other := range p.book.Peers(now) {
		all = append(append(all, other.From.Unmap()), other.Serves...)
	}
	return all
}
