package vrrp

import (
	"fmt"
	"net/netip"
)

// Family is the version of IP that carries the adverts of a virtual router.
type Family uint8

const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String returns "IPv4" or "IPv6".
func (f Family) String() string { return fmt.Sprintf("IPv%d", uint8(f)) }

// FamilyOf returns the family of an address: IPv6 if it is not IPv4.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// Group is the multicast group of VRRP over IPv4 (RFC 9568, section 5.1.1.2).
var Group = netip.AddrFrom4([4]byte{224, 0, 0, 18})

// Group6 is the multicast group of VRRP over IPv6 (RFC 9568, section 5.1.2.2).
var Group6 = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})

// Group returns the multicast group of the family.
func (f Family) Group() netip.Addr {
	if f == IPv6 {
		return Group6
	}
	return Group
}

// addressLen is how many octets an address of the family has in an advert.
func (f Family) addressLen() int {
	if f == IPv6 {
		return 16
	}
	return 4
}

// plain reports whether a is an address as packets carry it: IPv4 or IPv6, the
// one not dressed up as the other, without a zone.
func plain(a netip.Addr) bool { return a.Is4() || a.Is6() && !a.Is4In6() && a.Zone() == "" }
