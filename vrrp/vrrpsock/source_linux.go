package vrrpsock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/vrrp"
)

// Source implements vrrp.Port. While nothing has changed it costs a few small
// system calls.
func (p *port) Source(exclude []netip.Addr) (netip.Addr, error) {
	index, err := p.look()
	if err != nil {
		return netip.Addr{}, err
	}
	if index != p.index {
		return netip.Addr{}, fmt.Errorf("interface %s was replaced", p.ifname)
	}
	if p.chosen.IsValid() && !slices.Contains(exclude, p.chosen) && p.still(p.chosen) {
		return p.chosen, nil
	}
	addresses, err := p.addresses()
	if err != nil && p.chosen.IsValid() && !slices.Contains(exclude, p.chosen) {
		// What cannot be read now is taken to be as before: no reason to resign.
		return p.chosen, nil
	}
	if err != nil {
		return netip.Addr{}, fmt.Errorf("reading the addresses of %s: %w", p.ifname, err)
	}
	if p.chosen, err = choose(addresses, exclude, p.chosen); err != nil {
		return netip.Addr{}, fmt.Errorf("interface %s, %v: %w", p.ifname, p.family, err)
	}
	return p.chosen, nil
}

// choose returns the first address that is not excluded, or the one chosen
// before if it is still among those.
func choose(addresses, exclude []netip.Addr, before netip.Addr) (netip.Addr, error) {
	own := slices.DeleteFunc(addresses, func(a netip.Addr) bool { return slices.Contains(exclude, a) })
	switch {
	case len(own) == 0:
		return netip.Addr{}, vrrp.ErrNoSource
	case slices.Contains(own, before):
		return before, nil
	}
	return own[0], nil
}

// still tells cheaply that the interface has the address; false is not certain.
func (p *port) still(a netip.Addr) bool {
	if p.family == vrrp.IPv6 {
		usable, err := usable6(p.index, a)
		return usable && err == nil
	}
	first, ok := p.firstAddress()
	return ok && first == a
}

// addresses returns the addresses of the interface that adverts may come from, in
// the kernel's order.
func (p *port) addresses() ([]netip.Addr, error) {
	if p.family == vrrp.IPv6 {
		return linkLocal(p.index)
	}
	all, err := (&net.Interface{Index: p.index, Name: p.ifname}).Addrs()
	if err != nil {
		return nil, err
	}
	var addresses []netip.Addr
	for _, a := range all {
		if prefix, ok := a.(*net.IPNet); ok && prefix.IP.To4() != nil {
			addresses = append(addresses, netip.AddrFrom4([4]byte(prefix.IP.To4())))
		}
	}
	return addresses, nil
}

// look returns the index of the interface that has the name now, if it is fit.
func (p *port) look() (int, error) {
	index, err := p.ifreq(unix.SIOCGIFINDEX)
	if errors.Is(err, unix.ENODEV) {
		return 0, fmt.Errorf("interface %s does not exist", p.ifname)
	} else if err != nil {
		return 0, err
	}
	flags, err := p.ifreq(unix.SIOCGIFFLAGS)
	if err != nil {
		return 0, err
	}
	switch f := flags.Uint16(); {
	case f&unix.IFF_UP == 0:
		return 0, fmt.Errorf("interface %s is down", p.ifname)
	case f&unix.IFF_RUNNING == 0:
		return 0, fmt.Errorf("interface %s has no carrier", p.ifname)
	}
	return int(index.Uint32()), nil
}

// firstAddress returns the address that the kernel lists first.
func (p *port) firstAddress() (netip.Addr, bool) {
	address, err := p.ifreq(unix.SIOCGIFADDR)
	if err != nil {
		return netip.Addr{}, false
	}
	ip, err := address.Inet4Addr()
	if err != nil {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(ip)), true
}

// ifreq makes an interface request of netdevice(7).
func (p *port) ifreq(request uint) (*unix.Ifreq, error) {
	r, err := unix.NewIfreq(p.ifname)
	if err != nil {
		return nil, fmt.Errorf("interface name %q: %w", p.ifname, err)
	}
	var failed error
	if err := p.raw.Control(func(fd uintptr) { failed = unix.IoctlIfreq(int(fd), request, r) }); err != nil {
		return nil, err
	}
	return r, failed
}
