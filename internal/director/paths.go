package director

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

// path is a way through IPVS to one real server, for checks that go to a virtual
// address. Marked packets take it: it is a service by mark with one destination,
// which this director has in every role.
type path struct {
	real    netip.Addr
	port    uint16 // that NAT maps to; 0 leaves the port as it is
	forward string
	tunnel  ipvsctl.Tunnel
}

func pathOf(s config.Service, c config.Check, real config.Real, listen netip.AddrPort) path {
	p := path{real: real.Address, forward: forwardBy(s, real), tunnel: tunnel(s, real)}
	if p.forward == "nat" {
		p.port = cmp.Or(c.Port, real.Port, listen.Port())
	}
	return p
}

func (w path) String() string { return fmt.Sprintf("%s %s %d %v", w.forward, w.real, w.port, w.tunnel) }

// layPaths gives each path a mark. It follows from the path's name, so that it
// stays when others come and go; where two would have the same, the later one
// takes the next.
func (p *Probes) layPaths(cfg *config.Config) {
	p.marks = make(map[path]uint32)
	schedulers := make(map[path]string)
	for _, s := range cfg.Services {
		for _, listen := range s.Listen {
			for _, real := range s.At(listen).Real {
				for _, c := range s.ChecksOf(real) {
					if way := pathOf(s, c, real, listen); c.ThroughVIP && schedulers[way] == "" {
						schedulers[way] = s.Scheduler // which the kernel has loaded anyway
					}
				}
			}
		}
	}
	ways := make([]path, 0, len(schedulers))
	for way := range schedulers {
		ways = append(ways, way)
	}
	slices.SortFunc(ways, func(a, b path) int { return cmp.Compare(a.String(), b.String()) })
	taken := make(map[uint32]bool, len(ways))
	for _, way := range ways[:min(len(ways), config.MarkCount)] {
		h := fnv.New32a()
		h.Write([]byte(way.String()))
		offset := h.Sum32() % config.MarkCount
		for taken[offset] {
			offset = (offset + 1) % config.MarkCount
		}
		taken[offset] = true
		p.marks[way] = cfg.MarkBase + offset
		p.paths = append(p.paths, ipvsctl.Service{
			Key:       ipvsctl.ServiceKey{FWMark: cfg.MarkBase + offset, Family: ipvsctl.FamilyOf(way.real)},
			Scheduler: schedulers[way],
			Dests: []ipvsctl.Dest{{
				Key: ipvsctl.DestKey{Address: way.real, Port: way.port}, Forward: forwards[way.forward], Weight: 1, Tunnel: way.tunnel,
			}},
		})
	}
}

// ended reports whether this node has stopped to direct: then nothing of ours
// stays.
func (in Inputs) ended() bool {
	for _, role := range in.Roles {
		if role.Reason != vrrp.ReasonShutdown {
			return false
		}
	}
	return len(in.Roles) > 0
}

// pathSysctls derives what checks through a virtual address need where the real
// servers answer by themselves: the master holds the address from which their
// answers come, and the kernel drops what comes from an address of its own.
func pathSysctls(cfg *config.Config) []netif.Sysctl {
	interfaces := make(map[string]bool)
	for _, s := range cfg.Services {
		through := func(c config.Check) bool { return c.ThroughVIP }
		if s.Forward == "nat" || !slices.ContainsFunc(s.Real, func(r config.Real) bool { return slices.ContainsFunc(s.ChecksOf(r), through) }) {
			continue
		}
		for _, v := range cfg.VRRP {
			if v.Priority != 0 && v.Name == s.VRRP {
				interfaces[v.Interface] = true
			}
		}
	}
	var out []netif.Sysctl
	for _, name := range slices.Sorted(maps.Keys(interfaces)) {
		out = append(out, netif.Sysctl{Path: "net/ipv4/conf/" + name + "/accept_local", Value: "1"})
	}
	return out
}
