package firewall

import "encoding/binary"

// What the extensions of iptables look at, as the kernel encodes it.

// Bits of invflags of the tcp and udp matches.
const (
	invertSource      = 1
	invertDestination = 2
)

// portsMatch is the tcp and udp match. narrowed is set where it asks for flags or
// options, which only the first packet or none of a connection has.
func portsMatch(p *Packet, protocol uint8, source, destination [2]uint16, invert uint8, narrowed bool) truth {
	if p.Protocol != protocol {
		return no
	}
	in := func(port uint16, span [2]uint16, inverted bool) bool {
		return (port >= span[0] && port <= span[1]) != inverted
	}
	if !in(p.SourcePort, source, invert&invertSource != 0) || !in(p.Port, destination, invert&invertDestination != 0) {
		return no
	}
	if narrowed {
		return maybe
	}
	return yes
}

// stateMatch is the conntrack match of states, by the bits of xt_conntrack.
func stateMatch(state State, mask uint16, inverted bool) truth {
	// XT_CONNTRACK_STATE_INVALID is 1, then ctinfo+1: established 2, related 4, new 8;
	// untracked is 256.
	bit := uint16(state)
	if state == Untracked {
		bit = 1 << 8
	}
	return truthOf((mask&bit != 0) != inverted)
}

// targetMark is what iptables' MARK does (struct xt_mark_tginfo2: mark, mask).
// CONNMARK may bring back any.
func targetMark(name string, info []byte) *remark {
	if name != "MARK" || len(info) < 8 {
		return &remark{unclear: true}
	}
	return &remark{mask: binary.NativeEndian.Uint32(info[4:]), flip: binary.NativeEndian.Uint32(info)}
}
