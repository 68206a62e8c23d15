package arp

import (
	"errors"
	"net/netip"
)

// ErrNoARP is wrapped by errors about an interface without Ethernet addresses,
// such as lo or a tunnel.
var ErrNoARP = errors.New("the interface has no Ethernet address, so there is neither ARP nor neighbour discovery on it")

// Form is the form of an announcement.
type Form uint8

const (
	RequestForm Form = iota + 1 // RFC 5227 section 2.3
	ReplyForm                   // RFC 5944 section 4.6
	// AdvertisementForm is an unsolicited neighbour advertisement, the one form for
	// IPv6 (RFC 4861 section 7.2.6).
	AdvertisementForm
)

// formsOf returns the forms that a round for addr has.
func formsOf(addr netip.Addr, movingMAC bool) []Form {
	switch {
	case !addr.Is4():
		return []Form{AdvertisementForm}
	case movingMAC:
		return []Form{ReplyForm}
	}
	return []Form{RequestForm, ReplyForm}
}

// String returns "request", "reply" or "advertisement".
func (f Form) String() string {
	switch f {
	case RequestForm:
		return "request"
	case ReplyForm:
		return "reply"
	case AdvertisementForm:
		return "advertisement"
	}
	return "unknown"
}

// Port sends announcements on one interface. It is used by one goroutine.
type Port interface {
	// Announce sends one frame. It blocks for a fraction of a second at most.
	Announce(form Form, addr netip.Addr) error
	// Current reports whether the interface is still the one that was opened,
	// with the same hardware address.
	Current() bool
	Close() error
}

// Opener opens the port of an interface. Open is the real one.
type Opener func(ifname string) (Port, error)
