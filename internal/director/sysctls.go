package director

import (
	"maps"
	"slices"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
)

// Sysctls derives what forwarding needs of this host, in the order in which it
// is to be set.
func Sysctls(cfg *config.Config) []netif.Sysctl {
	below := virtualSysctls(cfg)
	if len(cfg.Services) == 0 {
		return below
	}
	nat4, nat6 := false, false
	for i := range cfg.Services {
		s := &cfg.Services[i]
		for _, listen := range s.Listen {
			nat4 = nat4 || s.Forward == "nat" && listen.Addr().Is4()
			nat6 = nat6 || s.Forward == "nat" && listen.Addr().Is6()
		}
	}
	interfaces := make(map[string]bool) // of the directors' VIPs
	for _, v := range cfg.VRRP {
		if v.Priority != 0 {
			interfaces[v.Interface] = true
		}
	}
	// A redirect would teach real servers and clients a way past the director.
	// The kernel sends them if all OR the interface says so.
	out := append(below, netif.Sysctl{Path: "net/ipv4/conf/all/send_redirects", Value: "0"})
	for _, name := range slices.Sorted(maps.Keys(interfaces)) {
		out = append(out, netif.Sysctl{Path: "net/ipv4/conf/" + name + "/send_redirects", Value: "0"})
	}
	// Packets of a connection whose real server is gone would be dropped until
	// the client gives up. So its entry ends and the client is told, or served by
	// another one.
	out = append(out, netif.Sysctl{Path: "net/ipv4/vs/expire_nodest_conn", Value: "1"})
	// A server of weight 0 shall become free of its clients: neither persistence nor
	// a port that is used again sends new connections there.
	out = append(out, netif.Sysctl{Path: "net/ipv4/vs/expire_quiescent_template", Value: "1"},
		netif.Sysctl{Path: "net/ipv4/vs/conn_reuse_mode", Value: "1"})
	// What does not fit into a tunnel is refused with the size that does, instead of
	// being cut into fragments, which many networks drop.
	if slices.ContainsFunc(cfg.Services, func(s config.Service) bool { return s.Forward == "tun" }) {
		out = append(out, netif.Sysctl{Path: "net/ipv4/vs/pmtu_disc", Value: "1"})
	}
	// Replies of NAT real servers come in by an interface that holds their
	// gateway address. The interface's own switch forwards them; the global one
	// would change every interface and could not be restored exactly.
	if nat4 {
		for _, name := range slices.Sorted(maps.Keys(interfaces)) {
			out = append(out, netif.Sysctl{Path: "net/ipv4/conf/" + name + "/forwarding", Value: "1"})
		}
	}
	// IPv6 has the global switch alone.
	if nat6 && len(interfaces) > 0 {
		out = append(out, netif.Sysctl{Path: netif.Forwarding6, Value: "1"})
	}
	out = append(out, pathSysctls(cfg)...)
	return append(out, connectionSysctls(cfg)...)
}
