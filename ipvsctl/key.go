package ipvsctl

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Protocol is the transport protocol of a service, by its IP protocol number.
type Protocol uint8

// The protocols that IPVS balances by address and port.
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// String returns "tcp", "udp", "sctp", or "protocol N" for any other number.
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	}
	return "protocol " + strconv.Itoa(int(p))
}

// ParseProtocol is the inverse of String for the three named protocols.
func ParseProtocol(s string) (Protocol, error) {
	for _, p := range []Protocol{TCP, UDP, SCTP} {
		if s == p.String() {
			return p, nil
		}
	}
	return 0, fmt.Errorf("protocol %q is not one of tcp, udp, sctp", s)
}

// Family is an address family. It is stated only where no address tells it,
// which is in services by firewall mark.
type Family uint8

// The address families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String returns "ipv4", "ipv6", or "family N".
func (f Family) String() string {
	switch f {
	case IPv4, IPv6:
		return "ipv" + strconv.Itoa(int(f))
	}
	return "family " + strconv.Itoa(int(f))
}

// FamilyOf returns the family of an address; an IPv4-mapped IPv6 address is
// IPv4, an invalid address has family 0.
func FamilyOf(a netip.Addr) Family {
	switch a = a.Unmap(); {
	case a.Is4():
		return IPv4
	case a.Is6():
		return IPv6
	}
	return 0
}

// ServiceKey identifies a virtual service in the kernel: either Protocol,
// Address and Port, or FWMark and Family. It is comparable.
type ServiceKey struct {
	Protocol Protocol
	Address  netip.Addr
	Port     uint16 // 0 = every port; the service must be persistent then
	FWMark   uint32 // not 0: the service takes what netfilter marked so
	Family   Family // with FWMark only; 0 otherwise
}

// AddressFamily returns the family of the packets the service takes.
func (k ServiceKey) AddressFamily() Family {
	if k.FWMark != 0 {
		return k.Family
	}
	return FamilyOf(k.Address)
}

// String returns "tcp 192.0.2.1:80", "udp [2001:db8::1]:53" or "fwmark 7 ipv4".
func (k ServiceKey) String() string {
	if k.FWMark != 0 {
		return "fwmark " + strconv.FormatUint(uint64(k.FWMark), 10) + " " + k.Family.String()
	}
	return k.Protocol.String() + " " + netip.AddrPortFrom(k.Address, k.Port).String()
}

// ParseServiceKey is the inverse of String.
func ParseServiceKey(s string) (ServiceKey, error) {
	kind, rest, ok := strings.Cut(s, " ")
	if !ok {
		return ServiceKey{}, fmt.Errorf("service key %q is neither \"PROTOCOL ADDRESS:PORT\" nor \"fwmark N FAMILY\"", s)
	}
	if kind == "fwmark" {
		return parseMarkKey(s, rest)
	}
	protocol, err := ParseProtocol(kind)
	if err != nil {
		return ServiceKey{}, fmt.Errorf("reading service key %q: %w", s, err)
	}
	ap, err := netip.ParseAddrPort(rest)
	if err != nil {
		return ServiceKey{}, fmt.Errorf("reading service key %q: %w", s, err)
	}
	return ServiceKey{Protocol: protocol, Address: ap.Addr(), Port: ap.Port()}, nil
}

func parseMarkKey(s, rest string) (ServiceKey, error) {
	number, family, _ := strings.Cut(rest, " ")
	mark, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return ServiceKey{}, fmt.Errorf("reading service key %q: %w", s, err)
	}
	for _, f := range []Family{IPv4, IPv6} {
		if family == f.String() && mark != 0 {
			return ServiceKey{FWMark: uint32(mark), Family: f}, nil
		}
	}
	return ServiceKey{}, fmt.Errorf("service key %q needs a mark above 0 and the family ipv4 or ipv6", s)
}

// MarshalText returns String.
func (k ServiceKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText is ParseServiceKey.
func (k *ServiceKey) UnmarshalText(text []byte) (err error) {
	*k, err = ParseServiceKey(string(text))
	return err
}

// Compare orders keys: by address, port and protocol, then by mark and family.
func (k ServiceKey) Compare(o ServiceKey) int {
	if c := cmp.Compare(k.FWMark, o.FWMark); c != 0 {
		return c
	}
	if c := k.Address.Compare(o.Address); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(k.Port, o.Port), cmp.Compare(k.Protocol, o.Protocol), cmp.Compare(k.Family, o.Family))
}

// DestKey identifies a destination (real server) within its service.
type DestKey struct {
	Address netip.Addr
	Port    uint16 // 0 = the port of the packet, for services by mark or of every port
}

// String returns "198.51.100.1:8080".
func (k DestKey) String() string { return netip.AddrPortFrom(k.Address, k.Port).String() }

// Compare orders keys by address and port.
func (k DestKey) Compare(o DestKey) int {
	if c := k.Address.Compare(o.Address); c != 0 {
		return c
	}
	return cmp.Compare(k.Port, o.Port)
}
