package ipvsctl

import (
	"fmt"
	"strings"
	"time"
)

// DefaultScheduler is what an empty Scheduler stands for, as with ipvsadm.
const DefaultScheduler = "wlc"

// Service is one virtual service as it should be.
type Service struct {
	Key ServiceKey

	// Scheduler names the kernel's scheduler, at most 15 bytes; empty = wlc.
	Scheduler string
	Flags     SchedFlags

	// Persistence keeps a client on its server for this long after its last
	// connection: whole seconds, 1 s to 31 days; 0 = off.
	Persistence time.Duration
	// PersistencePrefix groups the clients of one network: 1 to 32 or 128;
	// 0 = each client address for itself. Only with Persistence.
	PersistencePrefix uint8
	// Engine is the persistence engine, e.g. "sip"; at most 15 bytes; empty =
	// by client address. Only with Persistence.
	Engine string

	// OnePacket schedules each datagram by itself (UDP and firewall marks).
	OnePacket bool

	Dests []Dest
}

// Dest is one destination (real server) of a service.
type Dest struct {
	Key     DestKey
	Forward Forward
	Weight  uint32 // 0 to MaxWeight; 0 = no new connections
	// Upper is the number of connections at which the destination gets no new
	// ones until they fall below Lower; 0 = no limit. Lower is at most Upper;
	// 0 = three quarters of Upper.
	Upper, Lower uint32
	Tunnel       Tunnel // with TUN only
}

// MaxWeight is the largest weight.
const MaxWeight = 65535

// Forward is how packets reach a destination.
type Forward uint8

// The forwarding methods; the zero value is DR.
const (
	DR    Forward = iota // direct routing: only the MAC address is rewritten
	TUN                  // tunnelling
	NAT                  // address and port are rewritten both ways
	Local                // this host itself
)

var forwardNames = [...]string{DR: "dr", TUN: "tun", NAT: "nat", Local: "local"}

// String returns "dr", "tun", "nat", "local", or "forwarding method N".
func (f Forward) String() string {
	if int(f) < len(forwardNames) {
		return forwardNames[f]
	}
	return fmt.Sprintf("forwarding method %d", uint8(f))
}

// ParseForward is the inverse of String for the four methods.
func ParseForward(s string) (Forward, error) {
	for f, name := range forwardNames {
		if s == name {
			return Forward(f), nil
		}
	}
	return 0, fmt.Errorf("forwarding method %q is not one of dr, tun, nat, local", s)
}

// Tunnel says how TUN wraps packets; the zero value is plain IP in IP.
type Tunnel struct {
	Type  TunnelType
	Port  uint16 // UDP port of the destination; GUE needs it, no other type has it
	Flags TunnelFlags
}

// TunnelType is an encapsulation.
type TunnelType uint8

// The encapsulations, numbered as in the kernel.
const (
	IPIP TunnelType = 0
	GUE  TunnelType = 1
	GRE  TunnelType = 2
)

// String returns "ipip", "gue", "gre", or "tunnel type N".
func (t TunnelType) String() string {
	switch t {
	case IPIP:
		return "ipip"
	case GUE:
		return "gue"
	case GRE:
		return "gre"
	}
	return fmt.Sprintf("tunnel type %d", uint8(t))
}

// TunnelFlags are options of an encapsulation.
type TunnelFlags uint16

// The options, numbered as in the kernel.
const (
	TunnelChecksum       TunnelFlags = 1 << 0 // GUE and GRE
	TunnelRemoteChecksum TunnelFlags = 1 << 1 // GUE, remote checksum offload
)

// SchedFlags are options of a scheduler; what they mean is the scheduler's own.
type SchedFlags uint8

// The options. sh and mh give the first two a meaning, no scheduler of the
// kernel uses the third.
const (
	SchedFlag1 SchedFlags = 1 << iota
	SchedFlag2
	SchedFlag3

	// SchedFallback passes over servers that are unavailable (sh, mh).
	SchedFallback = SchedFlag1
	// SchedPort hashes the client's port too (sh, mh).
	SchedPort = SchedFlag2
)

// String returns the flags as ipvsadm writes them for any scheduler, e.g.
// "flag-1,flag-2"; "" for none.
func (f SchedFlags) String() string {
	var names []string
	for bit := range 8 {
		if f&(1<<bit) != 0 {
			names = append(names, fmt.Sprintf("flag-%d", bit+1))
		}
	}
	return strings.Join(names, ",")
}
