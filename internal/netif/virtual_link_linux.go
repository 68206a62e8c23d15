package netif

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// kernelLinks is the kernel of the calling process's network namespace.
type kernelLinks struct{}

func (kernelLinks) links(ctx context.Context) ([]Link, error) { return Links(ctx) }

// addrGenNone is IN6_ADDR_GEN_MODE_NONE: no link-local address.
const addrGenNone = 1

// add makes a macvlan of mode bridge. In the others the parent would not hear what
// another master sends from the same MAC address.
func (kernelLinks) add(parent Link, l VirtualLink) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.Group = l.Name, parent.Index, virtualGroup
	attrs.HardwareAddr = net.HardwareAddr(l.MAC[:])
	link := &netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE}
	err := netlink.LinkAdd(link)
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return &UnsupportedError{
			Feature: "macvlan",
			Remedy:  "load the kernel module macvlan (modprobe macvlan), use a kernel that has it, or set vmac = false",
			Err:     err,
		}
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%s belongs to a bridge, a bond or the like (remedy: the virtual router's interface is that one): %w", parent.Name, err)
	case err != nil:
		return err
	}
	err = netlink.LinkSetIP6AddrGenMode(link, addrGenNone)
	if err == nil || !l.IPv6 {
		return nil // a kernel without IPv6 gives no address
	}
	_ = netlink.LinkDel(link)
	return fmt.Errorf("keeping it from having a link-local address of its own: %w", err)
}

func (kernelLinks) remove(index int) error {
	err := netlink.LinkDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}})
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

func (kernelLinks) setUp(index int, up bool) error {
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
	if !up {
		return netlink.LinkSetDown(link)
	}
	err := netlink.LinkSetUp(link)
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("another interface here has the MAC address (remedy: stop the other VRRP program): %w", err)
	}
	return err
}

// silence drops whatever is to leave by an interface. Every kernel with traffic
// control has it.
const silence = "blackhole"

func (kernelLinks) muted(index int) (bool, error) {
	list, err := netlink.QdiscList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}})
	if err != nil {
		return false, fmt.Errorf("reading what queues its packets: %w", err)
	}
	for _, q := range list {
		if q.Type() == silence && q.Attrs().Parent == netlink.HANDLE_ROOT {
			return true, nil
		}
	}
	return false, nil
}

func (kernelLinks) mute(index int, mute bool) error {
	q := &netlink.GenericQdisc{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Parent: netlink.HANDLE_ROOT}, QdiscType: silence}
	if !mute {
		return netlink.QdiscDel(q)
	}
	q.Handle = netlink.MakeHandle(1, 0)
	return netlink.QdiscReplace(q)
}

func (kernelLinks) readSysctl(path string) (string, error) { return ReadSysctl(path) }
func (kernelLinks) writeSysctl(path, value string) error   { return WriteSysctl(path, value) }
