package netif

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const ipipType = "ipip"

// ReadTunnel says how things are with a tunnel device, so that it can be
// written down before EnsureIPIP changes it.
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

// EnsureIPIP sees to it that the IP-in-IP device of that name receives from any
// sender: it exists, is up, and does not use ARP. The name is "tunl0", the
// device that comes with the kernel module ipip, in all but special cases: the
// kernel allows one device for any sender and any receiver.
//
// Asking for the device loads the module where the kernel may do so. It may be
// called again at any time.
func EnsureIPIP(ctx context.Context, name string) error {
	if err := ensureIPIP(ctx, name); err != nil {
		return fmt.Errorf("setting up tunnel device %s: %w", name, explain(err))
	}
	return nil
}

func ensureIPIP(ctx context.Context, name string) error {
	link, err := findLink(ctx, name)
	if errors.Is(err, ErrNoInterface) {
		err = netlink.LinkAdd(&netlink.Iptun{LinkAttrs: netlink.LinkAttrs{Name: name}})
		switch {
		case errors.Is(err, unix.EOPNOTSUPP):
			return &UnsupportedError{
				Feature: "IP-in-IP tunnels",
				Remedy:  "load the kernel module ipip (modprobe ipip), or use a kernel that has it",
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
	if link.Type != ipipType {
		return fmt.Errorf("its type is %q, not %q", link.Type, ipipType)
	}
	handle := &netlink.Iptun{LinkAttrs: netlink.LinkAttrs{Name: name, Index: link.Index}}
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

// RestoreIPIP brings a tunnel device back to the state before EnsureIPIP. The
// device that came with the module cannot be deleted; it is set down instead.
func RestoreIPIP(ctx context.Context, before Tunnel) error {
	link, err := findLink(ctx, before.Name)
	if errors.Is(err, ErrNoInterface) {
		return nil
	}
	if err == nil && !before.Up && link.Type == ipipType {
		err = takeDown(link, !before.Exists)
	}
	if err != nil {
		return fmt.Errorf("restoring tunnel device %s: %w", before.Name, explain(err))
	}
	return nil
}

func takeDown(link Link, remove bool) error {
	handle := &netlink.Iptun{LinkAttrs: netlink.LinkAttrs{Name: link.Name, Index: link.Index}}
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
