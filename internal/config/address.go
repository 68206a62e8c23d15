package config

import (
	"net/netip"
	"strconv"
	"strings"
)

const (
	vipLegal    = `an address with its prefix length, as in "192.0.2.100/24" or "2001:db8::100/64"`
	listenLegal = `an address and a port, as in "192.0.2.100:80" or "[2001:db8::100]:80"`
	realLegal   = `an address, with NAT also with a port: "192.0.2.11", "192.0.2.11:8080", "[2001:db8::11]:8080"; or "local": the director itself`
	peerLegal   = `a director's own address: "192.0.2.2", or a link-local one of IPv6, "fe80::2"`
)

// parseVIP reads a virtual address. Host bits are kept.
func parseVIP(text string) (netip.Prefix, problem) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		addr, addrErr := netip.ParseAddr(text)
		_, portErr := netip.ParseAddrPort(text)
		switch {
		case addrErr == nil && addr.Zone() != "":
			return netip.Prefix{}, problem{zoned, vipLegal, ""}
		case addrErr == nil:
			return netip.Prefix{}, problem{"an address without its prefix length", vipLegal, ""}
		case portErr == nil:
			return netip.Prefix{}, problem{"a port does not belong to a virtual address", vipLegal, ""}
		}
		return netip.Prefix{}, problem{"not an address with prefix length" + reason(err), vipLegal, ""}
	}
	addr := prefix.Addr()
	if what := checkForm(addr, vipLegal); what.message != "" {
		what.suggestion = ""
		return netip.Prefix{}, what
	}
	network := prefix.Bits() < addr.BitLen()-1 && addr == prefix.Masked().Addr()
	switch {
	case !isHost(addr):
		return netip.Prefix{}, problem{"an address that no host can hold", vipLegal, ""}
	case prefix.Bits() == 0:
		return netip.Prefix{}, problem{"a prefix length of 0", vipLegal, ""}
	case network && addr.Is6():
		return netip.Prefix{}, problem{"the anycast address of the network's routers, no single host's", vipLegal, ""}
	case network:
		return netip.Prefix{}, problem{"the address of the network itself, no host's", vipLegal, ""}
	case addr.Is4() && prefix.Bits() < 31 && addr == broadcast(prefix):
		return netip.Prefix{}, problem{"the broadcast address of its network, no host's", vipLegal, ""}
	}
	return prefix, problem{}
}

const zoned = "a zone does not belong here: the interface is named elsewhere"

// checkForm refuses the forms of an address that are none of their own.
func checkForm(addr netip.Addr, legal string) problem {
	switch {
	case addr.Zone() != "":
		return problem{zoned, legal, ""}
	case addr.Is4In6():
		return problem{"an IPv4 address written as one of IPv6", legal, strconv.Quote(addr.Unmap().String())}
	}
	return problem{}
}

// parseListen reads the address and port of a listener.
func parseListen(text string) (netip.AddrPort, problem) {
	listen, err := netip.ParseAddrPort(text)
	if err != nil {
		if addr, err := netip.ParseAddr(text); err == nil {
			suggestion := ""
			if addr.Is6() && addr.Zone() == "" {
				suggestion = strconv.Quote(netip.AddrPortFrom(addr, 80).String())
			}
			return netip.AddrPort{}, problem{"an address without its port", listenLegal, suggestion}
		}
		return netip.AddrPort{}, problem{"not an address and port" + reason(err), listenLegal, ""}
	}
	if what := checkForm(listen.Addr(), listenLegal); what.message != "" {
		what.suggestion = ""
		return netip.AddrPort{}, what
	}
	switch {
	case listen.Addr().Is6() && listen.Addr().IsLinkLocalUnicast():
		return netip.AddrPort{}, problem{"a link-local address, which IPVS does not balance", listenLegal, ""}
	case listen.Port() == 0:
		return netip.AddrPort{}, problem{"port 0", "1 to 65535", ""}
	}
	return listen, problem{}
}

// parseReal reads the address of a real server; port is 0 where none is given.
func parseReal(text string) (addr netip.Addr, port uint16, what problem) {
	if text == Local {
		return loopback(false), 0, problem{}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		withPort, portErr := netip.ParseAddrPort(text)
		switch {
		case portErr != nil && strings.Contains(text, "/"):
			return addr, 0, problem{"a prefix length does not belong to a real server", realLegal, quoteIf(strings.Cut(text, "/"))}
		case portErr != nil && strings.Contains(text, ":"):
			return addr, 0, problem{"not an address and port" + reason(portErr), realLegal, ""}
		case portErr != nil:
			return addr, 0, problem{"not an address" + reason(err), realLegal, ""}
		case withPort.Port() == 0:
			return addr, 0, problem{"port 0", "1 to 65535", ""}
		}
		addr, port = withPort.Addr(), withPort.Port()
	}
	what = checkForm(addr, realLegal)
	switch {
	case what.message != "":
		return addr, 0, what
	case !isHost(addr):
		return addr, 0, problem{"an address that no host can hold", realLegal, ""}
	case addr.Is6() && addr.IsLinkLocalUnicast():
		return addr, 0, problem{"a link-local address, which IPVS does not forward to", realLegal, ""}
	}
	return addr, port, problem{}
}

// loopback is the address by which IPVS knows the director itself.
func loopback(six bool) netip.Addr {
	if six {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// parsePeer reads the own address of another director. Over IPv6 adverts come from
// link-local addresses.
func parsePeer(text string) (netip.Addr, problem) {
	addr, err := netip.ParseAddr(text)
	_, portErr := netip.ParseAddrPort(text)
	switch {
	case err != nil && strings.Contains(text, "/"):
		return addr, problem{"a prefix length does not belong to a peer", peerLegal, quoteIf(strings.Cut(text, "/"))}
	case err != nil && portErr == nil:
		return addr, problem{"a port does not belong to a peer", peerLegal, ""}
	case err != nil:
		return addr, problem{"not an address" + reason(err), peerLegal, ""}
	}
	what := checkForm(addr, peerLegal)
	switch {
	case what.message != "":
		return addr, what
	case !isHost(addr):
		return addr, problem{"an address that no host can hold", peerLegal, ""}
	case addr.Is6() && !addr.IsLinkLocalUnicast():
		return addr, problem{"adverts over IPv6 come from link-local addresses", peerLegal, ""}
	}
	return addr, problem{}
}

func quoteIf(before, _ string, found bool) string {
	if _, err := netip.ParseAddr(before); !found || err != nil {
		return ""
	}
	return strconv.Quote(before)
}

// reason is what netip has against a text, without the text itself.
func reason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "): "); i >= 0 {
		text = text[i+len("): "):]
	}
	text, _, _ = strings.Cut(text, " parsing ")
	if strings.Contains(text, "unexpected character") || strings.Contains(text, "unable to parse") || text == "no IP" {
		return "" // says no more than "not an address"
	}
	return ": " + text
}

// isHost reports whether a host on a network can have addr.
func isHost(addr netip.Addr) bool {
	return !addr.IsUnspecified() && !addr.IsLoopback() && !addr.IsMulticast() &&
		addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// broadcast is the last address of an IPv4 network.
func broadcast(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a)
}

const interfaceLegal = "an interface name of 1 to 15 characters without '/' and spaces"

// checkInterface says what is wrong with an interface name (the kernel's dev_valid_name).
func checkInterface(name string) problem {
	if name == "" || len(name) > 15 || name == "." || name == ".." || strings.ContainsAny(name, "/: \t\r\n\v\f") {
		return problem{"not an interface name", interfaceLegal, ""}
	}
	return problem{}
}
