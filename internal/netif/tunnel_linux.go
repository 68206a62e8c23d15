package netif

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"

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

var (
	kindIPIP = tunnelKind{"ipip", "ipip", "IP-in-IP tunnels", func(a netlink.LinkAttrs) netlink.Link { return &netlink.Iptun{LinkAttrs: a} }}
	kindGRE  = tunnelKind{"gre", "ip_gre", "GRE tunnels", func(a netlink.LinkAttrs) netlink.Link {
		// Without an IPv4 address the library makes a tunnel over IPv6 of it.
		return &netlink.Gretun{LinkAttrs: a, Local: net.IPv4zero}
	}}
)

func kindOf(name string) tunnelKind {
	if name == DeviceGRE {
		return kindGRE
	}
	return kindIPIP
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
	return Tunnel{Name: name, Exists: true, Up: link.Up}, nil
}

// EnsureTunnel sees to it that a device receives from any sender: it exists, is up,
// and does not use ARP. The name is DeviceGRE, or DeviceIPIP, which come with their
// kernel modules: the kernel allows one device of a kind for any sender and any
// receiver.
//
// Asking for the device loads the module where the kernel may do so. It may be
// called again at any time.
func EnsureTunnel(ctx context.Context, name string) error {
	if err := ensureIPIP(ctx, name); err != nil {
		return fmt.Errorf("setting up tunnel device %s: %w", name, explain(err))
	}
	return nil
}

func ensureIPIP(ctx context.Context, name string) error {
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
	if link.Type != kind.link {
		return fmt.Errorf("its type is %q, not %q", link.Type, kind.link)
	}
	handle := kind.make(netlink.LinkAttrs{Name: name, Index: link.Index})
	if !link.NoARP {
		if err := netlink.LinkSetARPOff(handle); err != nil {
			return fmt.Errorf("switching ARP off: %w", err)
		}
	}
	if !link.Up {
		if err := netlink.LinkSetUp(handle); err != nil {
			return fmt.Errorf("setting it up: %w", err)
		}
	}
	return nil
}

// RestoreTunnel brings a tunnel device back to the state before EnsureTunnel. The
// device that came with the module cannot be deleted; it is set down instead.
func RestoreTunnel(ctx context.Context, before Tunnel) error {
	link, err := findLink(ctx, before.Name)
	if errors.Is(err, ErrNoInterface) {
		return nil
	}
	if err == nil && !before.Up && link.Type == kindOf(before.Name).link {
		err = takeDown(link, !before.Exists)
	}
	if err != nil {
		return fmt.Errorf("restoring tunnel device %s: %w", before.Name, explain(err))
	}
	return nil
}

func takeDown(link Link, remove bool) error {
	handle := kindOf(link.Name).make(netlink.LinkAttrs{Name: link.Name, Index: link.Index})
	if link.Up {
		if err := netlink.LinkSetDown(handle); err != nil {
			return fmt.Errorf("setting it down: %w", err)
		}
	}
	if !remove {
		return nil
	}
	// The kernel ignores this for the module's own device.
	if err := netlink.LinkDel(handle); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("deleting it: %w", err)
	}
	return nil
}

func findLink(ctx context.Context, name string) (Link, error) {
	links, err := Links(ctx)
	if err != nil {
		return Link{}, err
	}
	for _, l := range links {
		if l.Name == name {
			return l, nil
		}
	}
	return Link{}, ErrNoInterface
}
