package director

import (
	"github.com/haldir-lb/haldir/internal/config"
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

// tunnel is how a service wraps packets; the zero value where it does not.
func tunnel(s config.Service) ipvsctl.Tunnel {
	if s.Forward != "tun" {
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
