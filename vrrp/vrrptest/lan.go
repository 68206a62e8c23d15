// Package vrrptest is an in-memory network segment for VRRP: hosts whose ports
// exchange datagrams with delay, loss, duplication and partition.
//
// It owns no timers but those that delay a datagram, so it works inside a
// testing/synctest bubble. Like a network card it drops when a queue is full and
// never blocks.
package vrrptest

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
)

// Frame is one datagram as it was sent.
type Frame struct {
	From        string // host
	At          time.Time
	Source      netip.Addr
	Destination netip.Addr
	Via         string // the interface asked for, see vrrp.RouterConfig
	Message     []byte
}

// LAN is one segment. Its methods may be called at any time.
type LAN struct {
	mu        sync.Mutex // guards all of the following, and the hosts
	hosts     []*Host
	delay     time.Duration
	lose      func(from, to string) bool
	deaf      func(from, to string, family vrrp.Family) bool
	copies    int
	loopback  bool
	partition [][]string
	tap       func(Frame)
}

// NewLAN returns a segment without hosts that delivers at once and everything.
func NewLAN() *LAN { return &LAN{copies: 1} }

// Host adds a host with one interface that is up and has the given addresses.
func (l *LAN) Host(name, ifname string, addresses ...netip.Addr) *Host {
	h := &Host{lan: l, name: name, ifname: ifname, up: true, addresses: addresses}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hosts = append(l.hosts, h)
	return h
}

// SetDelay makes every datagram take that long from now on.
func (l *LAN) SetDelay(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

// SetLoss asks lose about each datagram and receiver from now on; nil loses none.
func (l *LAN) SetLoss(lose func(from, to string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = lose
}

// SetFamilyLoss is SetLoss for those who have to tell IPv4 from IPv6; both count.
func (l *LAN) SetFamilyLoss(lose func(from, to string, family vrrp.Family) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf = lose
}

// SetCopies delivers each datagram n times from now on.
func (l *LAN) SetCopies(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.copies = n
}

// SetLoopback lets senders receive what they send.
func (l *LAN) SetLoopback(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loopback = on
}

// Partition cuts the segment into groups of hosts. Hosts in no group are alone.
func (l *LAN) Partition(groups ...[]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partition = groups
}

// Heal ends a partition.
func (l *LAN) Heal() { l.Partition() }

// Tap calls fn for every datagram sent, delivered or not. It must not call back.
func (l *LAN) Tap(fn func(Frame)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tap = fn
}

// Inject delivers a datagram of any content to every host at once, as if from a
// stranger.
func (l *LAN) Inject(d vrrp.Datagram) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.hosts {
		h.deliver(&d)
	}
}

// send passes a message on; the caller holds the lock.
func (l *LAN) send(from *Host, source netip.Addr, o vrrp.Outgoing) {
	destination, message := o.To, o.Message
	if l.tap != nil {
		l.tap(Frame{From: from.name, At: time.Now(), Source: source, Destination: destination, Via: o.Via, Message: slices.Clone(message)})
	}
	d := vrrp.Datagram{Source: source, Destination: destination, TTL: 255, Payload: message}
	for _, to := range l.hosts {
		if to == from && !l.loopback || !destination.IsMulticast() && !slices.Contains(to.addresses, destination) || !l.together(from.name, to.name) || l.lose != nil && l.lose(from.name, to.name) ||
			l.deaf != nil && l.deaf(from.name, to.name, vrrp.FamilyOf(source)) {
			continue
		}
		for range l.copies {
			l.transmit(to, d)
		}
	}
}

// transmit delivers now or after the delay; the caller holds the lock.
func (l *LAN) transmit(to *Host, d vrrp.Datagram) {
	if l.delay == 0 {
		to.deliver(&d)
		return
	}
	later := d
	later.Payload = slices.Clone(d.Payload)
	time.AfterFunc(l.delay, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		to.deliver(&later)
	})
}

// together reports whether the partition lets the two talk.
func (l *LAN) together(a, b string) bool {
	if len(l.partition) == 0 || a == b {
		return true
	}
	return slices.ContainsFunc(l.partition, func(group []string) bool {
		return slices.Contains(group, a) && slices.Contains(group, b)
	})
}
