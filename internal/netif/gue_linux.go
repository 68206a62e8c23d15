package netif

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// GUEPorts lists where this host takes packets out of GUE, as GUEPort writes it,
// sorted. A kernel without the module fou has none.
func GUEPorts(ctx context.Context) ([]netip.AddrPort, error) {
	// The kernel lists both families, whichever is asked for.
	list, err := complete(ctx, func() ([]netlink.Fou, error) { return netlink.FouList(unix.AF_INET) })
	if noFOU(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the ports of GUE: %w", err)
	}
	var ports []netip.AddrPort
	for _, f := range list {
		if f.EncapType == netlink.FOU_ENCAP_GUE {
			ports = append(ports, GUEPort(uint16(f.Port), f.Family == unix.AF_INET6))
		}
	}
	slices.SortFunc(ports, netip.AddrPort.Compare)
	return slices.Compact(ports), nil
}

// noFOU reports whether an error says that the kernel has no such family.
func noFOU(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) }

func fouOf(port netip.AddrPort) netlink.Fou {
	f := netlink.Fou{Family: unix.AF_INET, Port: int(port.Port()), EncapType: netlink.FOU_ENCAP_GUE}
	if port.Addr().Is6() {
		f.Family = unix.AF_INET6
	}
	return f
}

// AddGUEPort has this host take packets out of GUE at a port, if it does not yet.
// They go on to the device for what is inside.
func AddGUEPort(ctx context.Context, port netip.AddrPort) error {
	ports, err := GUEPorts(ctx)
	if err != nil || slices.Contains(ports, port) {
		return err
	}
	err = netlink.FouAdd(fouOf(port))
	switch {
	case noFOU(err):
		// Nothing in the kernel loads it by itself.
		return &UnsupportedError{
			Feature: "GUE",
			Remedy:  "load the kernel module fou (modprobe fou; at boot by a file in /etc/modules-load.d), or use a kernel that has it",
			Err:     err,
		}
	case errors.Is(err, unix.EADDRINUSE), errors.Is(err, fs.ErrExist):
		err = fmt.Errorf("the port is in use (remedy: find out by whom: ss -ulpn; ip fou show): %w", err)
	}
	if err != nil {
		return fmt.Errorf("receiving GUE at UDP port %s: %w", port, explain(err))
	}
	return nil
}

// RemoveGUEPort undoes AddGUEPort. A port at which nothing is received is none to
// remove.
func RemoveGUEPort(ctx context.Context, port netip.AddrPort) error {
	ports, err := GUEPorts(ctx)
	if err != nil || !slices.Contains(ports, port) {
		return err
	}
	err = netlink.FouDel(fouOf(port))
	if err != nil && !noFOU(err) {
		return fmt.Errorf("no longer receiving GUE at UDP port %s: %w", port, explain(err))
	}
	return nil
}
