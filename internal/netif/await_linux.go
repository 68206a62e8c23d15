package netif

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// usableWithin is longer than the kernel takes to finish an IPv6 address, on a
	// busy machine too.
	usableWithin = 200 * time.Millisecond
	// usablePoll is the time between two questions whether it has.
	usablePoll = 200 * time.Microsecond
)

// await: an IPv6 address is listed at once, and packets to it are dropped until a
// worker of the kernel has made its local route, some milliseconds later at times.
// Without carrier it makes none.
func (host) await(ctx context.Context, link Link, address netip.Addr) {
	if !link.Running() && !link.Loopback {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, usableWithin)
	defer cancel()
	ticker := time.NewTicker(usablePoll)
	defer ticker.Stop()
	for !local(address) {
		select {
		case <-ctx.Done():
			return // what it is like is for the next reading to say
		case <-ticker.C:
		}
	}
}

// local reports whether the kernel would take a packet to an address for itself.
func local(address netip.Addr) bool {
	routes, err := netlink.RouteGet(address.AsSlice())
	return err == nil && slices.ContainsFunc(routes, func(r netlink.Route) bool { return r.Type == unix.RTN_LOCAL })
}
