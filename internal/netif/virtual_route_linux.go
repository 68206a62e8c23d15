package netif

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routingOf is the routing of the calling process's network namespace.
type routingOf struct{}

func routingHost() routingKernel { return routingOf{} }

var kindNumbers = map[RouteKind]int{
	Unicast: unix.RTN_UNICAST, Blackhole: unix.RTN_BLACKHOLE, Unreachable: unix.RTN_UNREACHABLE, Prohibit: unix.RTN_PROHIBIT,
}

// readRouting lists the routes of all tables but the kernel's own, and the rules.
// What VirtualRoute and VirtualRule have no words for cannot be taken for one of
// ours.
func (routingOf) readRouting(ctx context.Context) ([]heldRoute, []heldRule, error) {
	names, err := linkNames(ctx)
	if err != nil {
		return nil, nil, err
	}
	list, err := complete(ctx, func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("listing routes: %w", err)
	}
	var routes []heldRoute
	for _, r := range list {
		if h, ok := heldRouteOf(r, names); ok {
			routes = append(routes, h)
		}
	}
	var rules []heldRule
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := complete(ctx, func() ([]netlink.Rule, error) { return netlink.RuleList(family) })
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
			continue // the family, or its rules, are not in this kernel
		}
		if err != nil {
			return nil, nil, fmt.Errorf("listing rules: %w", err)
		}
		for _, r := range list {
			if h, ok := heldRuleOf(r, family == netlink.FAMILY_V6); ok {
				rules = append(rules, h)
			}
		}
	}
	return routes, rules, nil
}

// heldRouteOf converts a route of a kind that could be ours.
func heldRouteOf(r netlink.Route, names map[int]string) (heldRoute, bool) {
	if r.Table == unix.RT_TABLE_LOCAL || len(r.MultiPath) > 0 || r.Tos != 0 {
		return heldRoute{}, false
	}
	h := heldRoute{ours: int(r.Protocol) == RouteProtocol}
	for kind, number := range kindNumbers {
		if number == r.Type {
			h.Kind = kind
		}
	}
	dst, ok := prefixOf(r.Dst)
	switch {
	case !everywhere(r.Dst):
	case r.Family == netlink.FAMILY_V6:
		dst, ok = netip.PrefixFrom(netip.IPv6Unspecified(), 0), true
	default:
		dst, ok = netip.PrefixFrom(netip.IPv4Unspecified(), 0), true
	}
	if h.Kind == "" || !ok {
		return heldRoute{}, false
	}
	h.Destination, h.Gateway, h.Source = dst, addrOf(r.Gw), addrOf(r.Src)
	h.Table, h.Metric = r.Table, r.Priority
	h.OnLink = r.Flags&int(netlink.FLAG_ONLINK) != 0
	if h.Kind == Unicast {
		h.Interface = names[r.LinkIndex]
	}
	return h, true
}

func heldRuleOf(r netlink.Rule, isIPv6 bool) (heldRule, bool) {
	if r.OifName != "" || r.Invert || r.Tos != 0 || r.IPProto != 0 || r.Sport != nil || r.Dport != nil || r.UIDRange != nil || r.Goto > 0 {
		return heldRule{}, false
	}
	h := heldRule{ours: r.Protocol == RouteProtocol}
	h.From, _ = prefixOf(r.Src)
	h.To, _ = prefixOf(r.Dst)
	h.IPv6, h.Interface, h.Mark, h.Table, h.Priority = isIPv6, r.IifName, r.Mark, r.Table, max(r.Priority, 0)
	return h, true
}

func (routingOf) setRoute(r VirtualRoute, replace bool) error {
	route, err := kernelRoute(r)
	if err != nil {
		return err
	}
	if replace {
		return netlink.RouteReplace(route)
	}
	return netlink.RouteAdd(route)
}

func (routingOf) removeRoute(r VirtualRoute) error {
	route, err := kernelRoute(r)
	if err != nil {
		return err
	}
	err = netlink.RouteDel(route)
	if errors.Is(err, syscall.ESRCH) {
		return nil // gone already
	}
	return err
}

func kernelRoute(r VirtualRoute) (*netlink.Route, error) {
	route := &netlink.Route{
		Protocol: RouteProtocol, Type: kindNumbers[r.Kind], Table: r.Table, Priority: r.Metric,
		Dst: kernelPrefix(r.Destination), Gw: kernelIP(r.Gateway), Src: kernelIP(r.Source),
	}
	if r.Destination.Addr().Is4() && !r.Gateway.IsValid() && r.Kind == Unicast {
		route.Scope = netlink.SCOPE_LINK
	}
	if r.OnLink {
		route.Flags = int(netlink.FLAG_ONLINK)
	}
	if r.Interface != "" {
		link, err := netlink.LinkByName(r.Interface)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", ErrNoInterface, r.Interface)
		}
		route.LinkIndex = link.Attrs().Index
	}
	return route, nil
}

func kernelPrefix(p netip.Prefix) *net.IPNet {
	if !p.IsValid() {
		return nil
	}
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func kernelIP(a netip.Addr) net.IP {
	if !a.IsValid() {
		return nil
	}
	return a.AsSlice()
}

func (routingOf) addRule(r VirtualRule) error { return netlink.RuleAdd(kernelRule(r)) }

func (routingOf) removeRule(r VirtualRule) error {
	err := netlink.RuleDel(kernelRule(r))
	if errors.Is(err, syscall.ENOENT) {
		return nil // gone already
	}
	return err
}

func kernelRule(r VirtualRule) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Protocol, rule.Family = RouteProtocol, netlink.FAMILY_V4
	if r.IPv6 {
		rule.Family = netlink.FAMILY_V6
	}
	rule.Src, rule.Dst = kernelPrefix(r.From), kernelPrefix(r.To)
	rule.IifName, rule.Mark, rule.Table, rule.Priority = r.Interface, r.Mark, r.Table, r.Priority
	return rule
}
