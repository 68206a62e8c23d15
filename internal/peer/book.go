package peer

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

const (
	// Silence is how long after its last message a peer counts as silent.
	Silence = 3500 * time.Millisecond
	// forgetAfter is how long a silent peer is remembered.
	forgetAfter = time.Hour
	// maxPeers bounds what strangers can make a director remember.
	maxPeers = 16
)

// Book is what was heard of other directors. It is pure and not for concurrent
// use.
type Book struct {
	self  string // the run whose messages are our own
	peers map[string]*entry
	// Refused counts datagrams that were no message, LastRefusal says why.
	Refused     uint64
	LastRefusal string
}

type entry struct {
	peer    Peer      // its At is zero before the first complete message
	heard   time.Time // the newest datagram
	seq     uint64    // of the message whose pages arrive
	pages   []*Message
	missing int
}

// Peer is the newest complete message of another director.
type Peer struct {
	Message
	From      netip.Addr
	Interface string
	At        time.Time // of its arrival
}

// NewBook returns an empty book of the director whose run is self.
func NewBook(self string) *Book {
	return &Book{self: self, peers: make(map[string]*entry)}
}

// Hear takes a datagram. It reports whether a message has become complete.
func (b *Book) Hear(now time.Time, d Datagram) bool {
	p, err := decode(d.Payload)
	if err != nil {
		b.Refused++
		b.LastRefusal = err.Error()
		return false
	}
	if p.Run == b.self {
		return false
	}
	b.forget(now)
	e := b.peers[p.Run]
	if e == nil {
		if len(b.peers) == maxPeers {
			b.Refused++
			b.LastRefusal = "more directors than can be remembered"
			return false
		}
		e = &entry{}
		b.peers[p.Run] = e
	}
	e.heard = now
	if p.Seq <= e.peer.Seq && !e.peer.At.IsZero() || p.Seq < e.seq {
		return false // late, or another copy
	}
	if p.Seq != e.seq || len(e.pages) != p.Pages {
		e.seq, e.pages, e.missing = p.Seq, make([]*Message, p.Pages), p.Pages
	}
	if e.pages[p.Page] != nil {
		return false
	}
	e.pages[p.Page] = &p.Message
	if e.missing--; e.missing > 0 {
		return false
	}
	e.peer = Peer{Message: joined(e.pages), From: d.From, Interface: d.Interface, At: now}
	e.pages = nil
	return true
}

// joined makes one message of its pages.
func joined(pages []*Message) Message {
	m := *pages[0]
	for _, p := range pages[1:] {
		m.Routers = append(m.Routers, p.Routers...)
		m.Heard = append(m.Heard, p.Heard...)
		m.NotUp = append(m.NotUp, p.NotUp...)
	}
	return m
}

// forget drops who has been silent for long, whose messages never became
// complete, and the earlier runs of a node that has begun anew.
func (b *Book) forget(now time.Time) {
	newest := make(map[string]time.Time)
	for _, e := range b.peers {
		if e.peer.At.After(newest[e.peer.Node]) {
			newest[e.peer.Node] = e.peer.At
		}
	}
	for run, e := range b.peers {
		silent := now.Sub(e.heard)
		useless := e.peer.At.IsZero() || e.peer.At.Before(newest[e.peer.Node])
		if silent > forgetAfter || useless && silent > Silence {
			delete(b.peers, run)
		}
	}
}

// Peers returns everybody who was heard, by node.
func (b *Book) Peers(now time.Time) []Peer {
	b.forget(now)
	var list []Peer
	for _, e := range b.peers {
		if !e.peer.At.IsZero() {
			list = append(list, e.peer)
		}
	}
	slices.SortFunc(list, func(x, y Peer) int {
		return cmp.Or(cmp.Compare(x.Node, y.Node), cmp.Compare(x.Run, y.Run))
	})
	return list
}
