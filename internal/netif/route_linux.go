package netif

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// DefaultRoutes reads the default routes of the main table, both families, the
// preferred one first. A route with several next hops yields one Route each.
func DefaultRoutes(ctx context.Context) ([]Route, error) {
	names, err := linkNames(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading default routes: %w", err)
	}
	list, err := complete(ctx, func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{}, 0)
	})
	if err != nil {
		return nil, fmt.Errorf("reading default routes: %w", err)
	}
	var routes []Route
	for _, r := range list {
		if r.Type != unix.RTN_UNICAST || !everywhere(r.Dst) {
			continue
		}
		hops := r.MultiPath
		if len(hops) == 0 {
			hops = []*netlink.NexthopInfo{{LinkIndex: r.LinkIndex, Gw: r.Gw}}
		}
		for _, hop := range hops {
			routes = append(routes, Route{
				Gateway:   addrOf(hop.Gw),
				Interface: names[hop.LinkIndex],
				Source:    addrOf(r.Src),
				Metric:    r.Priority,
				MTU:       r.MTU, MSS: r.AdvMSS,
			})
		}
	}
	slices.SortStableFunc(routes, func(a, b Route) int { return cmp.Compare(a.Metric, b.Metric) })
	return routes, nil
}

// everywhere reports whether a destination is all addresses.
func everywhere(dst *net.IPNet) bool {
	if dst == nil {
		return true
	}
	ones, size := dst.Mask.Size()
	return ones == 0 && size > 0
}

// RouteTo asks the kernel by which way it would send to dst, from source if
// that is valid. No route is an error.
func RouteTo(ctx context.Context, dst, source netip.Addr) (Route, error) {
	names, err := linkNames(ctx)
	if err != nil {
		return Route{}, fmt.Errorf("looking up the route to %s: %w", dst, err)
	}
	options := &netlink.RouteGetOptions{}
	if source.IsValid() {
		options.SrcAddr = source.AsSlice()
	}
	list, err := netlink.RouteGetWithOptions(dst.AsSlice(), options)
	if err == nil && len(list) == 0 {
		err = errors.New("the kernel named none")
	}
	if err != nil {
		return Route{}, fmt.Errorf("looking up the route to %s: %w", dst, err)
	}
	r := list[0]
	return Route{
		Gateway:   addrOf(r.Gw),
		Interface: names[r.LinkIndex],
		Source:    addrOf(r.Src),
		Metric:    r.Priority,
		Local:     r.Type == unix.RTN_LOCAL,
	}, nil
}

func linkNames(ctx context.Context) (map[int]string, error) {
	links, err := Links(ctx)
	if err != nil {
		return nil, err
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Index] = l.Name
	}
	return names, nil
}

func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}
