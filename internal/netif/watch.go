package netif

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
)

// EventKind says what happened.
type EventKind uint8

const (
	// LinkNew: an interface appeared, or was there when the watch began. It
	// counts as down until LinkUp. A renamed one is gone and new.
	LinkNew EventKind = iota + 1
	// LinkGone: an interface vanished. Its addresses were reported gone before.
	LinkGone
	// LinkUp: frames can pass from now on; see Link.Running.
	LinkUp
	// LinkDown: frames can no longer pass, for lack of carrier or by administration.
	LinkDown
	// AddressNew: an address appeared, was there when the watch began, or
	// changed its tag.
	AddressNew
	// AddressGone: an address was removed, by whomever.
	AddressGone
	// Synced: everything that is there has been reported. It follows the first
	// reading, and each later one that became necessary because events were lost.
	Synced
)

// String returns "link new", "link gone" and so on.
func (k EventKind) String() string {
	names := [...]string{"unknown", "link new", "link gone", "link up", "link down", "address new", "address gone", "synced"}
	if int(k) >= len(names) {
		k = 0
	}
	return names[k]
}

// Event is one change of a link or an address.
type Event struct {
	Kind    EventKind
	Link    Link           // of all but Synced; as last seen if it is gone
	Address PresentAddress // of AddressNew and AddressGone
}

// tracker holds what has been reported and turns news into events.
type tracker struct {
	links     map[int]Link
	addresses map[addressKey]PresentAddress
}

type addressKey struct {
	index        int
	prefix, peer netip.Prefix
}

func (h heldAddress) key() addressKey { return addressKey{h.index, h.Prefix, h.peer} }

func newTracker() *tracker {
	return &tracker{links: map[int]Link{}, addresses: map[addressKey]PresentAddress{}}
}

// link takes the present state of a link.
func (t *tracker) link(now Link) []Event {
	before, known := t.links[now.Index]
	if known && before.Name != now.Name {
		return t.rename(now)
	}
	var events []Event
	if !known {
		events = append(events, Event{Kind: LinkNew, Link: now})
	}
	if now.Running() != before.Running() {
		kind := LinkDown
		if now.Running() {
			kind = LinkUp
		}
		events = append(events, Event{Kind: kind, Link: now})
	}
	t.links[now.Index] = now
	return events
}

// rename reports everything about a link gone under its old name and new
// under the other.
func (t *tracker) rename(now Link) []Event {
	kept := maps.Clone(t.addresses)
	events := t.linkGone(now.Index)
	events = append(events, t.link(now)...)
	for _, key := range sortedKeys(kept, now.Index) {
		h := heldAddress{PresentAddress: kept[key], index: key.index, peer: key.peer}
		events = append(events, t.address(h)...)
	}
	return events
}

// linkGone takes the news that a link vanished.
func (t *tracker) linkGone(index int) []Event {
	last, known := t.links[index]
	if !known {
		return nil
	}
	var events []Event
	for _, key := range sortedKeys(t.addresses, index) {
		events = append(events, t.addressGone(key)...)
	}
	delete(t.links, index)
	return append(events, Event{Kind: LinkGone, Link: last})
}

// address takes an address that is there. One of an unknown link is ignored:
// it is left over from before the last reading.
func (t *tracker) address(h heldAddress) []Event {
	link, known := t.links[h.index]
	if !known {
		return nil
	}
	h.Interface = link.Name
	if t.addresses[h.key()] == h.PresentAddress {
		return nil
	}
	t.addresses[h.key()] = h.PresentAddress
	return []Event{{Kind: AddressNew, Link: link, Address: h.PresentAddress}}
}

// addressGone takes the news that an address was removed.
func (t *tracker) addressGone(key addressKey) []Event {
	last, known := t.addresses[key]
	if !known {
		return nil
	}
	delete(t.addresses, key)
	return []Event{{Kind: AddressGone, Link: t.links[key.index], Address: last}}
}

// sync takes a complete reading.
func (t *tracker) sync(links []Link, held []heldAddress) []Event {
	var events []Event
	names := map[int]string{}
	for _, l := range links {
		names[l.Index] = l.Name
	}
	// What was renamed is gone first too: its old name may be another's now.
	for _, index := range slices.Sorted(maps.Keys(t.links)) {
		if names[index] != t.links[index].Name {
			events = append(events, t.linkGone(index)...)
		}
	}
	for _, l := range links {
		events = append(events, t.link(l)...)
	}
	present := map[addressKey]bool{}
	for _, h := range held {
		present[h.key()] = true
	}
	for _, key := range sortedKeys(t.addresses, 0) {
		if !present[key] {
			events = append(events, t.addressGone(key)...)
		}
	}
	for _, h := range held {
		events = append(events, t.address(h)...)
	}
	return append(events, Event{Kind: Synced})
}

// sortedKeys returns the keys of one link, or of all links if index is 0.
func sortedKeys(addresses map[addressKey]PresentAddress, index int) []addressKey {
	var keys []addressKey
	for key := range addresses {
		if index == 0 || key.index == index {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b addressKey) int {
		return cmp.Or(cmp.Compare(a.index, b.index), comparePrefixes(a.prefix, b.prefix), comparePrefixes(a.peer, b.peer))
	})
	return keys
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}
