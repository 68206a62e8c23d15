package realserver

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/haldir-lb/haldir/internal/netif"
)

// someClients stand for clients anywhere: addresses that no network has (RFC 2544
// and RFC 5180 keep them for measurements). There are several, so that of a route
// with several next hops more than one is seen.
func someClients(six bool) []netip.Addr {
	var all []netip.Addr
	for i := range byte(8) {
		if six {
			all = append(all, netip.AddrFrom16([16]byte{0x20, 0x01, 0, 2, 0, 0, 0, i, 15: 1}))
		} else {
			all = append(all, netip.AddrFrom4([4]byte{198, 18, i, 1}))
		}
	}
	return all
}

// replyFindings are about the way by which replies to clients leave. The kernel is
// asked, so that rules and tables count as they do for the replies.
func (r *Runner) replyFindings(ctx context.Context, replies []Reply) ([]Finding, error) {
	var all []Finding
	for _, reply := range replies {
		f := Finding{
			Item: "way of replies from " + reply.From.String() + " to clients",
			Want: "via " + joined(reply.Via, " or "), OK: true, Services: reply.Services,
		}
		var got []string
		for _, client := range someClients(reply.From.Is6()) {
			route, err := r.Kernel.RouteTo(ctx, client, reply.From)
			if err != nil && !noRoute(err) {
				return nil, err
			}
			if hop := hopOf(route, err); !slices.Contains(got, hop) {
				got = append(got, hop)
			}
			f.OK = f.OK && err == nil && slices.Contains(reply.Via, route.Gateway)
		}
		f.Got = strings.Join(got, " and ")
		if !f.OK {
			f.Remedy = "replies must pass the director: in the system's network configuration, set the default route to the " +
				"director's address in this host's network"
		}
		all = append(all, f)
	}
	return all, nil
}

// noRoute reports whether an error of the kernel says that packets go nowhere.
func noRoute(err error) bool {
	return slices.ContainsFunc([]error{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EACCES, syscall.EINVAL},
		func(target error) bool { return errors.Is(err, target) })
}

func hopOf(route netif.Route, err error) string {
	switch {
	case err != nil:
		return noGateway
	case route.Gateway.IsValid():
		return "via " + route.Gateway.String() + " on " + route.Interface
	}
	return "on link " + route.Interface
}

func joined(addrs []netip.Addr, separator string) string {
	text := make([]string, len(addrs))
	for i, a := range addrs {
		text[i] = a.String()
	}
	return strings.Join(text, separator)
}
