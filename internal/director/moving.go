package director

import (
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
)

// heldBy lists every address that moves with a router, the advertised ones first.
func heldBy(v config.VRRP) []netif.Address {
	var all []netif.Address
	for _, prefix := range v.Addresses {
		all = append(all, netif.Address{Interface: device(v, prefix.Addr()), Prefix: prefix})
	}
	for _, e := range v.Also {
		all = append(all, extraAddress(v, e))
	}
	return all
}

func extraAddress(v config.VRRP, e config.Extra) netif.Address {
	if e.Interface != "" && e.Interface != v.Interface {
		return netif.Address{Interface: e.Interface, Prefix: e.Prefix}
	}
	return netif.Address{Interface: device(v, e.Prefix.Addr()), Prefix: e.Prefix}
}

// attributes are those of the addresses of a router that have any.
func attributes(v config.VRRP) map[netif.Address]netif.Attributes {
	all := make(map[netif.Address]netif.Attributes)
	for _, e := range v.Also {
		with := netif.Attributes{Label: e.Label, Scope: e.Scope, Broadcast: e.Broadcast}
		if with != (netif.Attributes{}) {
			all[extraAddress(v, e)] = with
		}
	}
	for _, a := range heldBy(v) {
		// The way to the network is by the interface below.
		if link, any := virtualLink(v); any && a.Interface == link.Name {
			with := all[a]
			with.NoRoute = true
			all[a] = with
		}
	}
	return all
}

// routing is what moves with a router besides its addresses.
func routing(v config.VRRP) netif.Routing {
	var r netif.Routing
	for _, route := range v.Routes {
		r.Routes = append(r.Routes, netif.VirtualRoute{
			Kind: netif.RouteKind(route.Kind), Destination: route.Destination, Gateway: route.Gateway, Interface: route.Interface,
			Source: route.Source, Table: route.Table, Metric: route.Metric, OnLink: route.OnLink,
		})
	}
	for _, rule := range v.Rules {
		r.Rules = append(r.Rules, netif.VirtualRule(rule))
	}
	return r
}
