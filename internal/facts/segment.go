package facts

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/haldir-lb/haldir/arp"
)

// Segment is what a bounded look at the segments and at this machine showed.
type Segment struct {
	// Owners has, by question, who answered.
	Owners map[Question][]arp.Answer
	// Adverts are the VRRP adverts of others, one of each sort.
	Adverts []Advert
	// Listened is how long adverts were listened for.
	Listened time.Duration
	// Late is by how much the latest of many short sleeps ended too late.
	Late time.Duration
	// Clock is the state of the system clock; nil if it could not be read.
	Clock   *Clock
	Unknown []Unknown
}

// Question is an address that is asked for on an interface.
type Question struct {
	Interface string
	Address   netip.Addr
}

// Look says what to look at.
type Look struct {
	Ask    []Question
	Listen []string // interfaces, for VRRP adverts
	// For is how long, 100ms to a minute.
	For time.Duration
}

// Advert is a VRRP advert as it was heard, whether or not it is valid.
type Advert struct {
	Interface string
	Source    netip.Addr
	Version   uint8
	VRID      uint8
	Priority  uint8
	Interval  time.Duration
	Addresses []netip.Addr
}

const vrrpProtocol = 112

// parseAdvert reads the VRRP message in an IP packet; padding may follow. It
// checks no more than it has to: what a router would drop is of interest too.
func parseAdvert(packet []byte) (Advert, bool) {
	source, payload, ok := vrrpPayload(packet)
	if !ok || len(payload) < 8 || payload[0]&0xf != 1 {
		return Advert{}, false
	}
	a := Advert{Source: source, Version: payload[0] >> 4, VRID: payload[1], Priority: payload[2]}
	switch a.Version {
	case 2:
		a.Interval = time.Duration(payload[5]) * time.Second
	case 3:
		a.Interval = time.Duration(binary.BigEndian.Uint16(payload[4:])&0x0fff) * 10 * time.Millisecond
	default:
		return Advert{}, false
	}
	size := source.BitLen() / 8
	rest := payload[8:]
	for range payload[3] {
		if len(rest) < size {
			break
		}
		addr, _ := netip.AddrFromSlice(rest[:size])
		a.Addresses, rest = append(a.Addresses, addr), rest[size:]
	}
	return a, true
}

// vrrpPayload returns what an IP packet without extension headers carries.
func vrrpPayload(b []byte) (source netip.Addr, payload []byte, ok bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		header, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
		if header < 20 || total < header || total > len(b) || b[9] != vrrpProtocol {
			return source, nil, false
		}
		return netip.AddrFrom4([4]byte(b[12:16])), b[header:total], true
	case len(b) >= 40 && b[0]>>4 == 6:
		length := int(binary.BigEndian.Uint16(b[4:]))
		if 40+length > len(b) || b[6] != vrrpProtocol {
			return source, nil, false
		}
		return netip.AddrFrom16([16]byte(b[8:24])), b[40 : 40+length], true
	}
	return source, nil, false
}
