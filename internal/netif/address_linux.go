package netif

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// host is the kernel of the calling process's network namespace.
type host struct{}

func hostKernel() addressKernel { return host{} }

var errUnsettled = errors.New("interfaces come and go faster than they can be read")

// read lists links, then addresses. An address of a link that the first list
// does not have means that it is out of date, so both are read again.
func (host) read(ctx context.Context) (addressTable, error) {
	for range dumpAttempts {
		links, err := Links(ctx)
		if err != nil {
			return addressTable{}, err
		}
		held, err := heldAddresses(ctx, links)
		if errors.Is(err, errUnsettled) {
			continue
		}
		if err != nil {
			return addressTable{}, err
		}
		table := addressTable{links: make(map[string]Link, len(links)), held: held}
		for _, l := range links {
			table.links[l.Name] = l
		}
		return table, nil
	}
	return addressTable{}, errUnsettled
}

func heldAddresses(ctx context.Context, links []Link) ([]heldAddress, error) {
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Index] = l.Name
	}
	list, err := complete(ctx, func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("listing addresses: %w", err)
	}
	held := make([]heldAddress, 0, len(list))
	for _, a := range list {
		h, ok := heldOf(a)
		if !ok {
			continue
		}
		if h.Interface, ok = names[h.index]; !ok {
			return nil, errUnsettled
		}
		held = append(held, h)
	}
	return held, nil
}

// heldOf converts all but the interface's name. It returns false for what is
// not an IP address.
func heldOf(a netlink.Addr) (heldAddress, bool) {
	prefix, ok := prefixOf(a.IPNet)
	if !ok {
		return heldAddress{}, false
	}
	h := heldAddress{index: a.LinkIndex}
	h.Prefix = prefix
	h.Proto = uint8(a.Protocol)
	h.Ours = h.Proto == Protocol
	h.secondary = prefix.Addr().Is4() && a.Flags&unix.IFA_F_SECONDARY != 0
	h.peer, _ = prefixOf(a.Peer)
	h.has = Attributes{Label: a.Label, Scope: scopeNames[a.Scope], Broadcast: addrOf(a.Broadcast),
		NoRoute: a.Flags&unix.IFA_F_NOPREFIXROUTE != 0}
	return h, true
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	bits, size := n.Mask.Size()
	if !ok || size != addr.BitLen() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, bits), true
}

// scopeNames are the names that the ip command has for scopes.
var scopeNames = map[int]string{
	unix.RT_SCOPE_UNIVERSE: "global", unix.RT_SCOPE_SITE: "site", unix.RT_SCOPE_LINK: "link", unix.RT_SCOPE_HOST: "host",
}

func (host) add(link Link, prefix netip.Prefix, with Attributes) error {
	addr := kernelAddress(prefix)
	addr.Protocol = Protocol
	// A virtual address on lo or on a tunnel must not be chosen as the source
	// of what this host sends by itself.
	if link.Loopback || link.NoARP && prefix.IsSingleIP() {
		addr.Scope = unix.RT_SCOPE_HOST
		addr.Broadcast = net.IPv4zero // that is: none
	}
	if prefix.Addr().Is6() {
		// Usable at once: that nobody else has it is for the protocol to say.
		addr.Flags = unix.IFA_F_NODAD
		// Deprecated for good: no connection of this host's own begins with an
		// address that moves, unless its program asks for it (RFC 6724, rule 3).
		addr.ValidLft, addr.PreferedLft = math.MaxUint32, 0
	}
	if with.NoRoute {
		addr.Flags |= unix.IFA_F_NOPREFIXROUTE
	}
	addr.LinkIndex, addr.Label = link.Index, with.Label
	for scope, name := range scopeNames {
		if name == with.Scope {
			addr.Scope = scope
		}
	}
	if with.Broadcast.IsValid() {
		addr.Broadcast = with.Broadcast.AsSlice()
	}
	err := netlink.AddrAdd(nil, addr)
	switch {
	case prefix.Addr().Is6() && errors.Is(err, unix.EACCES):
		return fmt.Errorf("IPv6 is disabled on the interface (net/ipv6/conf/%s/disable_ipv6): %w", link.Name, err)
	case prefix.Addr().Is6() && errors.Is(err, unix.EEXIST):
		return fmt.Errorf("the interface has it with another prefix length: %w", err)
	}
	return err
}

func (host) remove(held heldAddress) error {
	addr := kernelAddress(held.Prefix)
	addr.LinkIndex = held.index
	return netlink.AddrDel(nil, addr)
}

func kernelAddress(prefix netip.Prefix) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{
		IP:   prefix.Addr().AsSlice(),
		Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
	}}
}

func (host) promote(ifname string) (func() error, error) {
	own := "net/ipv4/conf/" + ifname + "/promote_secondaries"
	for _, path := range []string{"net/ipv4/conf/all/promote_secondaries", own} {
		value, err := ReadSysctl(path)
		if err != nil {
			return nil, err
		}
		if value != "0" {
			return func() error { return nil }, nil
		}
	}
	if err := WriteSysctl(own, "1"); err != nil {
		return nil, err
	}
	return func() error { return WriteSysctl(own, "0") }, nil
}
