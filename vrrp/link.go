package vrrp

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"
)

// linkKey says which link: there is one for each interface and family.
type linkKey struct {
	name   string
	family Family
}

// link is one interface, for one family, as the loop sees it.
type link struct {
	linkKey
	routers [256]*router // by VRID
	vrids   VRIDs
	carrier bool
	// seenDown is set once the carrier was missing, settled is when it was back for
	// carrierSettle; zero if it never was missing.
	seenDown bool
	settled  time.Time
	port     Port       // nil while there is none
	source   netip.Addr // zero while there is none
	problem  string     // of opening, or of finding a source
	usable   bool       // routers take part

	out     [][]byte   // adverts of this turn to the group
	outOf   []*router  // whose they are
	outTo   []Outgoing // adverts of this turn to single hosts or by another interface
	outToOf []*router
	limits  [dropReasons]logLimit

	keeper  *keeper
	discard context.CancelFunc // ends the keeper
}

// enqueue keeps an advert of a router for the end of the turn.
func (k *link) enqueue(r *router, o Outgoing) {
	// Who gives way speaks with its own MAC address: its successor may have announced
	// the addresses already.
	if !o.To.IsValid() && r.state() == Master {
		o.Via = r.cfg.Via
	}
	if o.To.IsValid() || o.Via != "" {
		k.outTo, k.outToOf = append(k.outTo, o), append(k.outToOf, r)
		return
	}
	k.out, k.outOf = append(k.out, o.Message), append(k.outOf, r)
}

// logLimit lets one line through a minute.
type logLimit struct {
	next       time.Time
	suppressed int
}

const logEvery = time.Minute

// pass reports whether a line may be written now, and how many were not since
// the last one.
func (g *logLimit) pass(now time.Time) (bool, int) {
	if now.Before(g.next) {
		g.suppressed++
		return false, 0
	}
	n := g.suppressed
	g.suppressed, g.next = 0, now.Add(logEvery)
	return true, n
}

// links of one speaker tell their keepers what not to use as source through
// this, and are told what the keepers find through news.
type keeper struct {
	link *link // identity only; the keeper does not look inside
	linkKey
	net     Network
	exclude atomic.Pointer[[]netip.Addr]
	vrids   atomic.Pointer[VRIDs]
	kick    chan struct{} // capacity 1: look again now
	news    chan<- news
	batches chan<- *batch
}

// news is what a keeper found.
type news struct {
	link   *link
	port   Port       // nil: there is none
	source netip.Addr // valid if there is a port
	err    error      // why there is no port
}

// batch is what one Receive returned. It goes back to its reader when done.
type batch struct {
	link      *link
	datagrams []Datagram
	n         int
	free      chan<- *batch
}

// nudge makes the keeper look at once instead of within a second.
func (k *keeper) nudge() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}
