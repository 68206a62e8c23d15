package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Protocol is the IP protocol number of VRRP.
const Protocol = 112

const (
	typeAdvert    = 1
	headerLen     = 8
	authLen       = 8      // version 2: authentication data after the addresses
	intervalMask  = 0x0fff // the other four bits are reserved
	centisecond   = 10 * time.Millisecond
	checksumStart = 6
)

// Packet is an ADVERTISEMENT of VRRPv3 (RFC 9568, section 5) or VRRPv2 (RFC 3768,
// section 5).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Version| Type  | Virtual Rtr ID|   Priority    |IPvX Addr Count|
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Reserve| Max Advertise Interval|          Checksum             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       IPvX Address(es)                        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// In version 2 the fifth octet is Auth Type and the sixth the interval in seconds,
// and 8 octets of authentication data follow the addresses.
type Packet struct {
	Version  uint8 // 2, or 3; 0 is 3
	VRID     uint8
	Priority uint8 // 0: the master resigns
	// Interval is Max Advertise Interval, 10 ms..40.95 s in steps of 10 ms; in
	// version 2 the Advertisement Interval, 1..255 s in steps of 1 s.
	Interval  time.Duration
	Addresses []netip.Addr // of the family that carries the packet
	// Checksum is the form of the checksum of version 3 over IPv4. What was read
	// has it empty in all other cases.
	Checksum Checksum
	// Authentication is the simple-text password of version 2, at most 8 octets.
	// What was read has it empty, since it was compared.
	Authentication string
}

// Append appends the message to b. The checksum covers the addresses that IP is
// given, as far as version, family and p.Checksum want that.
func (p *Packet) Append(b []byte, source, destination netip.Addr) ([]byte, error) {
	family := FamilyOf(source)
	if !plain(source) || !plain(destination) || FamilyOf(destination) != family {
		return nil, fmt.Errorf("encoding an advert from %v to %v: both must be IPv4 or both IPv6 addresses", source, destination)
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("encoding an advert of VRID %d: %w", p.VRID, fmt.Errorf(format, args...))
	}
	version, err := effectiveVersion(p.Version, family)
	if err != nil {
		return nil, bad("%w", err)
	}
	if p.VRID == 0 {
		return nil, bad("VRID 0 is not legal")
	}
	if n := len(p.Addresses); n == 0 || n > MaxAddresses {
		return nil, bad("%d addresses: must be 1..%d", n, MaxAddresses)
	}
	if err := checkInterval(version, p.Interval); err != nil {
		return nil, bad("%w", err)
	}
	if err := checkAuthentication(version, p.Authentication); err != nil {
		return nil, bad("%w", err)
	}
	start := len(b)
	b = append(b, version<<4|typeAdvert, p.VRID, p.Priority, byte(len(p.Addresses)))
	if version == 2 {
		b = append(b, authType(p.Authentication), byte(p.Interval/time.Second))
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(p.Interval/centisecond))
	}
	b = append(b, 0, 0)
	for _, a := range p.Addresses {
		if !plain(a) || FamilyOf(a) != family {
			return nil, bad("address %v: must be an %v address", a, family)
		}
		if family == IPv4 {
			octets := a.As4()
			b = append(b, octets[:]...)
		} else {
			octets := a.As16()
			b = append(b, octets[:]...)
		}
	}
	if version == 2 {
		data := authData(p.Authentication)
		b = append(b, data[:]...)
	}
	m := b[start:]
	acc := sum(0, m)
	if version == 3 && (family == IPv6 || p.Checksum != ChecksumRFC9568) {
		acc += pseudoHeader(source, destination, len(m))
	}
	binary.BigEndian.PutUint16(m[checksumStart:], ^fold(acc))
	return b, nil
}
