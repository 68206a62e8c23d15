package director

import (
	"net/netip"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/mark"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// schedulerFlags are the flags of a service as the kernel numbers them.
func schedulerFlags(s config.Service) ipvsctl.SchedFlags {
	bits := map[string]ipvsctl.SchedFlags{
		"sh-fallback": ipvsctl.SchedFallback, "mh-fallback": ipvsctl.SchedFallback,
		"sh-port": ipvsctl.SchedPort, "mh-port": ipvsctl.SchedPort,
	}
	var flags ipvsctl.SchedFlags
	for _, name := range s.Attributes.SchedulerFlags {
		flags |= bits[name]
	}
	return flags
}

// tunnel is how a service wraps packets to a real server; the zero value where it
// does not.
func tunnel(s config.Service, real config.Real) ipvsctl.Tunnel {
	if forwardBy(s, real) != "tun" {
		return ipvsctl.Tunnel{}
	}
	t := s.Attributes.Tunnel
	return ipvsctl.Tunnel{
		Type: map[string]ipvsctl.TunnelType{"ipip": ipvsctl.IPIP, "gue": ipvsctl.GUE, "gre": ipvsctl.GRE}[t.Type],
		Port: t.Port,
		Flags: map[string]ipvsctl.TunnelFlags{
			"full": ipvsctl.TunnelChecksum, "remote": ipvsctl.TunnelRemoteChecksum,
		}[t.Checksum],
	}
}

// marks are the rules that mark the packets of a service by firewall mark, at one of
// its listeners.
func marks(s config.Service, listen netip.AddrPort) []mark.Rule {
	ranges := s.MarkedAt(listen)
	rules := make([]mark.Rule, len(ranges))
	for i, r := range ranges {
		rules[i] = mark.Rule{
			Mark: s.FWMark, Protocol: uint8(protocols[s.Protocol]), FromPort: r.FromPort, ToPort: r.ToPort,
			Addresses: []mark.Span{{From: r.From, To: r.To}},
		}
	}
	return rules
}

// marked reports whether packets to an address get a mark.
func marked(rules []mark.Rule, a netip.Addr) bool {
	for _, r := range rules {
		for _, span := range r.Addresses {
			if !a.Less(span.From) && !span.To.Less(a) {
				return true
			}
		}
	}
	return false
}

// persistencePrefix is what groups the clients of a listener.
func persistencePrefix(s config.Service, listen netip.AddrPort) uint8 {
	if listen.Addr().Is6() {
		return s.Attributes.PersistencePrefix6
	}
	return s.Attributes.PersistencePrefix
}
