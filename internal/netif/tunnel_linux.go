package netif

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// tunnelKind is what a device is made of.
type tunnelKind struct {
	link    string // the type of link, and of the module's alias
	module  string
	feature string
	make    func(netlink.LinkAttrs) netlink.Link
}

// tunnelKinds are those of TunnelDevices. Without an address of its family the
// library would take a tunnel by GRE for one of the other.
var tunnelKinds = map[string]tunnelKind{
	DeviceIPIP: {"ipip", "ipip", "IP-in-IP tunnels", func(a netlink.LinkAttrs) netlink.Link { return &netlink.Iptun{LinkAttrs: a} }},
	DeviceSIT:  {"sit", "sit", "tunnels of IPv6 in IPv4", func(a netlink.LinkAttrs) netlink.Link { return &netlink.Sittun{LinkAttrs: a} }},
	DeviceIP6:  {"ip6tnl", "ip6_tunnel", "tunnels over IPv6", func(a netlink.LinkAttrs) netlink.Link { return &netlink.Ip6tnl{LinkAttrs: a} }},
	DeviceGRE: {"gre", "ip_gre", "GRE tunnels", func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Gretun{LinkAttrs: a, Local: net.IPv4zero}
	}},
	DeviceIP6GRE: {"ip6gre", "ip6_gre", "GRE tunnels over IPv6", func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Gretun{LinkAttrs: a, Local: net.IPv6zero}
	}},
}

func kindOf(name string) tunnelKind {
	if kind, known := tunnelKinds[name]; known {
		return kind
	}
	return tunnelKinds[DeviceIPIP]
}

// ReadTunnel says how things are with a tunnel device, so that it can be
// written down before EnsureTunnel changes it.
func ReadTunnel(ctx context.Context, name string) (Tunnel, error) {
	link, err := findLink(ctx, name)
	if errors.Is(err, ErrNoInterface) {
		return Tunnel{Name: name}, nil
	}
	if err != nil {
		return Tunnel{}, fmt.Errorf("reading tunnel device %s: %w", name, err)
	}
	return tunnelOf(link), nil
}

func tunnelOf(link netlink.Link) Tunnel {
	l := linkOf(link)
	t := Tunnel{Name: l.Name, Exists: true, Up: l.Up, MTU: l.MTU}
	if six, ok := link.(*netlink.Ip6tnl); ok && l.Name == DeviceIP6 {
		t.Inside = six.Proto
	}
	return t
}

// EnsureTunnel sees to it that a device receives from any sender: it exists, is up,
// does not use ARP, takes out all that it can, and has an MTU; 0 leaves that as it
// is. The name is one of TunnelDevices, which come with their kernel modules: the
// kernel allows one device of a kind for any sender and any receiver.
//
// Asking for the device loads the module where the kernel may do so. It may be
// called again at any time.
func EnsureTunnel(ctx context.Context, name string, mtu int) error {
	if err := ensureTunnel(ctx, name, mtu); err != nil {
		return fmt.Errorf("setting up tunnel device %s: %w", name, explain(err))
	}
	return nil
}

func ensureTunnel(ctx context.Context, name string, mtu int) error {
	kind := kindOf(name)
	link, err := findLink(ctx, name)
	if errors.Is(err, ErrNoInterface) {
		err = netlink.LinkAdd(kind.make(netlink.LinkAttrs{Name: name}))
		switch {
		case errors.Is(err, unix.EOPNOTSUPP):
			return &UnsupportedError{
				Feature: kind.feature,
				Remedy:  "load the kernel module " + kind.module + " (modprobe " + kind.module + "), or use a kernel that has it",
				Err:     err,
			}
		case err != nil && !errors.Is(err, fs.ErrExist): // the module may bring the device itself
			return err
		}
		link, err = findLink(ctx, name)
	}
	if err != nil {
		return err
	}
	if link.Type() != kind.link {
		return fmt.Errorf("its type is %q, not %q", link.Type(), kind.link)
	}
	now := linkOf(link)
	if !now.NoARP {
		if err := netlink.LinkSetARPOff(link); err != nil {
			return fmt.Errorf("switching ARP off: %w", err)
		}
	}
	if six, ok := link.(*netlink.Ip6tnl); ok && six.Proto != 0 {
		if err := setInside(name, 0); err != nil {
			return fmt.Errorf("having it take out both IPv4 and IPv6: %w", err)
		}
	}
	if mtu != 0 && now.MTU != mtu {
		if err := netlink.LinkSetMTU(link, mtu); err != nil {
			return fmt.Errorf("setting its MTU to %d: %w", mtu, err)
		}
	}
	if !now.Up {
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("setting it up: %w", err)
		}
	}
	return nil
}

// RestoreTunnel brings a tunnel device back to the state before EnsureTunnel, but
// for an MTU that is not one of ours by now. The device that came with the module
// cannot be deleted; it is set down instead.
func RestoreTunnel(ctx context.Context, before Tunnel, ours ...int) error {
	link, err := findLink(ctx, before.Name)
	if errors.Is(err, ErrNoInterface) {
		return nil
	}
	if err == nil && link.Type() == kindOf(before.Name).link {
		err = restoreTunnel(link, before, ours)
	}
	if err != nil {
		return fmt.Errorf("restoring tunnel device %s: %w", before.Name, explain(err))
	}
	return nil
}

func restoreTunnel(link netlink.Link, before Tunnel, ours []int) error {
	now := tunnelOf(link)
	if now.Up && !before.Up {
		if err := netlink.LinkSetDown(link); err != nil {
			return fmt.Errorf("setting it down: %w", err)
		}
	}
	inside := before.Inside
	if !before.Exists && before.Name == DeviceIP6 {
		inside = unix.IPPROTO_IPV6 // as the module has it
	}
	if now.Inside != inside && inside != 0 {
		if err := setInside(before.Name, inside); err != nil {
			return fmt.Errorf("having it take out no more than before: %w", err)
		}
	}
	if !before.Exists {
		// The kernel ignores this for the module's own device.
		if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("deleting it: %w", err)
		}
		return nil
	}
	if slices.Contains(ours, now.MTU) && now.MTU != before.MTU && before.MTU != 0 {
		if err := netlink.LinkSetMTU(link, before.MTU); err != nil {
			return fmt.Errorf("setting its MTU back to %d: %w", before.MTU, err)
		}
	}
	return nil
}

func findLink(ctx context.Context, name string) (netlink.Link, error) {
	list, err := complete(ctx, netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	for _, l := range list {
		if l.Attrs().Name == name {
			return l, nil
		}
	}
	return nil, ErrNoInterface
}
