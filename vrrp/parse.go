package vrrp

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// Parse reads the message of a datagram into p, reusing p.Addresses, and returns
// the first receive check that it fails, as for a multicast router. After a failure
// p is unspecified.
func (p *Packet) Parse(d *Datagram) DropReason { return p.ParseFor(&RouterConfig{}, d) }

// ParseFor is Parse for a router that is configured as cfg says.
func (p *Packet) ParseFor(cfg *RouterConfig, d *Datagram) DropReason {
	family := FamilyOf(d.Source)
	if !plain(d.Source) || !plain(d.Destination) || FamilyOf(d.Destination) != family {
		return DropFamily
	}
	if reason := checkPath(cfg, d, family); reason != Accepted {
		return reason
	}
	b := d.Payload
	// "MUST verify that the received packet contains the complete VRRP packet"
	if len(b) < headerLen {
		return DropLength
	}
	// "MUST verify the VRRP version."
	version := cfg.version()
	if b[0]>>4 != version || version == 2 && family == IPv6 {
		return DropVersion
	}
	// "MUST verify that the VRRP packet type is 1 (ADVERTISEMENT)."
	if b[0]&0xf != typeAdvert {
		return DropType
	}
	count := int(b[3])
	end := headerLen + family.addressLen()*count // of the addresses
	if version == 2 && len(b) != end+authLen || version == 3 && len(b) != end {
		return DropLength
	}
	// "MUST verify the VRRP checksum."
	form, ok := checkChecksum(version, family, d)
	if !ok {
		return DropChecksum
	}
	// "If the received count is 0, the VRRP advertisement MUST be ignored." (5.2.5)
	if count == 0 {
		return DropCount
	}
	if version == 2 {
		if reason := check2(cfg, b, end); reason != Accepted {
			return reason
		}
		p.Interval = time.Duration(b[5]) * time.Second
	} else {
		// "MUST verify that Max Advertise Interval is not 0" (7.1, erratum 8301)
		p.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&intervalMask) * centisecond
		if p.Interval == 0 {
			return DropInterval
		}
	}
	p.Version, p.VRID, p.Priority, p.Checksum, p.Authentication = version, b[1], b[2], form, ""
	p.Addresses = p.Addresses[:0]
	for list := b[headerLen:end]; len(list) > 0; {
		var a netip.Addr
		if family == IPv4 {
			a, list = netip.AddrFrom4([4]byte(list)), list[4:]
		} else {
			a, list = netip.AddrFrom16([16]byte(list)), list[16:]
		}
		if a.Is4In6() {
			return DropFamily
		}
		p.Addresses = append(p.Addresses, a)
	}
	// VRIDs are 1..255 (5.2.3), so 0 is nobody's.
	if p.VRID == 0 {
		return DropVRID
	}
	return Accepted
}

// checkChecksum also tells the form that a checksum of version 3 over IPv4 has:
// RFC 9568 leaves out the pseudo-header that RFC 5798 and those who implement it
// include.
func checkChecksum(version uint8, family Family, d *Datagram) (Checksum, bool) {
	own := sum(0, d.Payload)
	alone := fold(own) == 0xffff
	if version == 2 {
		return "", alone
	}
	full := fold(own+pseudoHeader(d.Source, d.Destination, len(d.Payload))) == 0xffff
	switch {
	case family == IPv6:
		return "", full
	case full:
		return ChecksumRFC5798, true
	}
	return ChecksumRFC9568, alone
}

// check2 is what RFC 3768, section 7.1, asks beyond the checks of both versions;
// the authentication data begins at end.
func check2(cfg *RouterConfig, b []byte, end int) DropReason {
	// "MUST verify that the Auth Type matches the locally configured authentication
	// method for the virtual router and perform that authentication method."
	if b[4] != authType(cfg.Authentication) {
		return DropAuthentication
	}
	if data := authData(cfg.Authentication); cfg.Authentication != "" && [authLen]byte(b[end:]) != data {
		return DropAuthentication
	}
	// "MUST verify that the Adver Interval in the packet is the same as the locally
	// configured for this virtual router."
	if time.Duration(b[5])*time.Second != cfg.Interval {
		return DropOtherInterval
	}
	return Accepted
}

// checkPath checks who sent a datagram, how far it came and where it went.
func checkPath(cfg *RouterConfig, d *Datagram, family Family) DropReason {
	if len(cfg.Peers) > 0 {
		switch {
		case d.Destination.IsMulticast():
			return DropDestination
		case !slices.Contains(cfg.Peers, d.Source):
			return DropPeer
		case d.TTL < cfg.MinTTL:
			return DropHops
		}
		return Accepted
	}
	// "MUST verify that the IPv4 TTL/IPv6 Hop Limit is 255." (RFC 9568, section 7.1)
	if d.TTL != 255 {
		return DropTTL
	}
	// "The IPv4 multicast address as assigned by the IANA for VRRP" (section 5.1.1.2),
	// and that of IPv6 (5.1.2.2)
	if d.Destination != family.Group() {
		return DropDestination
	}
	return Accepted
}

// vrid returns the VRID that a message claims, checked or not, for counting.
func vrid(payload []byte) (uint8, bool) {
	if len(payload) < 2 {
		return 0, false
	}
	return payload[1], true
}
