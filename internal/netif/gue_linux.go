package netif

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// GUEPorts lists the UDP ports over IPv4 at which this host takes packets out of
// GUE. A kernel without the module fou has none.
func GUEPorts(ctx context.Context) ([]uint16, error) {
	list, err := complete(ctx, func() ([]netlink.Fou, error) { return netlink.FouList(unix.AF_INET) })
	if noFOU(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the ports of GUE: %w", err)
	}
	var ports []uint16
	for _, f := range list {
		if f.EncapType == netlink.FOU_ENCAP_GUE && f.Family == unix.AF_INET {
			ports = append(ports, uint16(f.Port))
		}
	}
	slices.Sort(ports)
	return ports, nil
}

// noFOU reports whether an error says that the kernel has no such family.
func noFOU(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) }

// AddGUEPort has this host take packets out of GUE at a UDP port over IPv4, if it
// does not yet. They go on to the device of what is inside: DeviceIPIP.
func AddGUEPort(ctx context.Context, port uint16) error {
	ports, err := GUEPorts(ctx)
	if err != nil || slices.Contains(ports, port) {
		return err
	}
	err = netlink.FouAdd(netlink.Fou{Family: unix.AF_INET, Port: int(port), EncapType: netlink.FOU_ENCAP_GUE})
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
		return fmt.Errorf("receiving GUE at UDP port %d: %w", port, explain(err))
	}
	return nil
}

// RemoveGUEPort undoes AddGUEPort. A port at which nothing is received is none to
// remove.
func RemoveGUEPort(ctx context.Context, port uint16) error {
	ports, err := GUEPorts(ctx)
	if err != nil || !slices.Contains(ports, port) {
		return err
	}
	err = netlink.FouDel(netlink.Fou{Family: unix.AF_INET, Port: int(port)})
	if err != nil && !noFOU(err) {
		return fmt.Errorf("no longer receiving GUE at UDP port %d: %w", port, explain(err))
	}
	return nil
}
