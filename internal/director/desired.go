package director

import (
	"cmp"
	"maps"
	"net/netip"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/mark"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

// Role is what the director knows of one virtual router.
type Role struct {
	State  vrrp.State
	Master netip.Addr // zero if none is known
	Since  time.Time
	// Epoch changes with everything that calls for announcements: a takeover,
	// or a second master that was heard.
	Epoch  time.Time
	Reason vrrp.Reason
	// Interval is the master's interval that was learned.
	Interval time.Duration
	// Yielding is set while a router without its role keeps the addresses until
	// the new master has announced them; Gave is when it began to give way.
	Yielding bool
	Gave     time.Time
	// Muted is when the new master had announced addresses whose MAC address moves
	// along; until this node lets go of them, which it does a little later, it
	// receives for them and says nothing. Zero: not yet.
	Muted time.Time
	// Ceded is set in a hand-over on request, and after it until the router is
	// master again.
	Ceded bool
	// Displaced is the silent master that this one took over from.
	Displaced netip.Addr
	// Decided is set once this node knows whether it or another is the master.
	// Until then nothing that a predecessor left in the IPVS table is touched.
	Decided bool
}

// Holds reports whether a router in this role has its addresses.
func (r Role) Holds() bool { return r.State.Holds() || r.Yielding }

// Inputs is all that the desired state depends on.
type Inputs struct {
	Config *config.Config
	Roles  map[string]Role                // by the name of the virtual router
	Health map[string]healthcheck.Verdict // by target
	Risen  map[string]time.Time           // by target: when it came up under our eyes
	// Pools is what was decided before; the quorum of a pool goes on from it.
	Pools     map[ipvsctl.ServiceKey]Pool
	Overrides overrides
	Leaving   []departure
	Now       time.Time
	// Directors are the addresses of the other directors, which may be real
	// servers too.
	Directors []netip.Addr
	// Probes are those of Config; nil: they are derived.
	Probes *Probes
}

// Desired is what the host shall be like.
type Desired struct {
	// Links are those with the MAC addresses of virtual routers.
	Links     []netif.VirtualLink
	Addresses []netif.Address
	// Attributes are those of the addresses that have any.
	Attributes map[netif.Address]netif.Attributes
	Routing    netif.Routing
	Table      ipvsctl.Table
	// Marks are by which the kernel finds services by firewall mark.
	Marks []mark.Rule
	// Untouched are services of ours that stay as they are in the kernel, since
	// the role of their router is not decided yet.
	Untouched map[ipvsctl.ServiceKey]bool
	Announce  map[arp.Target]arp.Schedule
	// Epochs says, by announced target, which mastership this is: a later one
	// is announced anew.
	Epochs map[arp.Target]time.Time
	// Pools is what the policies decide, for services of every role.
	Pools map[ipvsctl.ServiceKey]Pool
	// Next is when the state is to be computed again without any news; zero is
	// never.
	Next time.Time
}

// Compute derives the desired state. It is a pure function.
func Compute(in Inputs) Desired {
	if in.Probes == nil {
		in.Probes = NewProbes(in.Config)
	}
	d := Desired{
		Attributes: make(map[netif.Address]netif.Attributes),
		Untouched:  make(map[ipvsctl.ServiceKey]bool),
		Announce:   make(map[arp.Target]arp.Schedule),
		Epochs:     make(map[arp.Target]time.Time),
		Pools:      make(map[ipvsctl.ServiceKey]Pool, len(in.Config.Services)),
		Table:      make(ipvsctl.Table, 0, len(in.Config.Services)),
	}
	others := make(map[string]bool) // routers in which this node has no part
	exchanges := make(map[string]bool)
	for _, v := range in.Config.Routers() {
		role := in.Roles[v.Name]
		others[v.Name] = v.Priority == 0
		if end := exchangeEnd(v, role, in.Now); !end.IsZero() && len(in.Directors) > 0 {
			exchanges[v.Name] = true
			d.Next = earlier(d.Next, end)
		}
		d.addLink(v, role)
		if !role.Holds() {
			continue
		}
		for _, address := range heldBy(v) {
			d.Addresses = append(d.Addresses, address)
			if role.State == vrrp.Master {
				target := arp.Target{Interface: address.Interface, Address: address.Prefix.Addr()}
				d.Announce[target] = schedule(v.GARP)
				if link, any := virtualLink(v); any && address.Interface == link.Name {
					moving := schedule(v.GARP)
					moving.MovingMAC = true
					d.Announce[target] = moving
				}
				d.Epochs[target] = role.Epoch
			}
		}
		maps.Copy(d.Attributes, attributes(v))
		moving := routing(v)
		d.Routing.Routes = append(d.Routing.Routes, moving.Routes...)
		d.Routing.Rules = append(d.Routing.Rules, moving.Rules...)
	}
	for _, s := range in.Config.Services {
		for _, listen := range s.Listen {
			s, router := s.At(listen), s.Router(listen)
			role, key := in.Roles[router], serviceKey(s, listen)
			pool := decidePool(s.Pool, members(s, listen, in), in.Pools[key].Quorum, in.Now)
			d.Pools[key] = pool
			if !pool.Next.IsZero() {
				d.Next = earlier(d.Next, pool.Next)
			}
			switch {
			case role.Holds(), s.LoadAlways && !others[router] && role.Reason != vrrp.ReasonShutdown:
				loaded := service(s, listen, pool)
				if exchanges[router] || s.LoadAlways {
					rest(loaded.Dests, in.Directors)
				}
				d.Table = append(d.Table, loaded)
				d.Marks = append(d.Marks, marks(s, listen)...)
			case !role.Decided && !others[router]:
				d.Untouched[key] = true
				d.Marks = append(d.Marks, marks(s, listen)...)
			}
		}
	}
	d.Table = addLeaving(d.Table, in.Leaving, in.Roles)
	if !in.ended() {
		d.Table = append(d.Table, in.Probes.paths...)
	}
	if len(d.Untouched) > 0 {
		for _, s := range d.Table {
			delete(d.Untouched, s.Key)
		}
	}
	d.Table = d.Table.Canonical()
	return d
}

func schedule(g config.GARP) arp.Schedule {
	return arp.Schedule{Burst: g.Burst, Spacing: g.Spacing, Again: g.Again, Refresh: g.Refresh}
}

func serviceKey(s config.Service, listen netip.AddrPort) ipvsctl.ServiceKey {
	if s.FWMark != 0 {
		return ipvsctl.ServiceKey{FWMark: s.FWMark, Family: ipvsctl.FamilyOf(listen.Addr())}
	}
	return ipvsctl.ServiceKey{Protocol: protocols[s.Protocol], Address: listen.Addr(), Port: listen.Port()}
}

func service(s config.Service, listen netip.AddrPort, pool Pool) ipvsctl.Service {
	out := ipvsctl.Service{
		Key: serviceKey(s, listen), Scheduler: s.Scheduler, Flags: schedulerFlags(s), Persistence: s.Persistence,
		PersistencePrefix: persistencePrefix(s, listen), Engine: s.Attributes.PersistenceEngine, OnePacket: s.Attributes.OnePacket,
	}
	out.Dests = make([]ipvsctl.Dest, 0, len(s.Real)+1)
	add := func(real config.Real, weight uint32) {
		out.Dests = append(out.Dests, ipvsctl.Dest{
			Key: destKey(real, listen), Forward: forwards[forwardBy(s, real)], Weight: weight,
			Upper: real.Upper, Lower: real.Lower, Tunnel: tunnel(s, real),
		})
	}
	for i, real := range s.Real {
		if seat := pool.Seats[i]; seat.In {
			add(real, seat.Weight)
		}
	}
	if pool.Sorry {
		add(*s.Pool.Sorry, s.Pool.Sorry.Weight)
	}
	return out
}

func destKey(real config.Real, listen netip.AddrPort) ipvsctl.DestKey {
	if real.Redirects {
		return ipvsctl.DestKey{Address: real.Address, Port: listen.Port()}
	}
	return ipvsctl.DestKey{Address: real.Address, Port: cmp.Or(real.Port, listen.Port())}
}

// members are the real servers of a service as its policy sees them. One that is
// not judged yet takes no part.
func members(s config.Service, listen netip.AddrPort, in Inputs) []member {
	out := make([]member, len(s.Real))
	for i, real := range s.Real {
		out[i] = member{weight: real.Weight, health: healthcheck.Up}
		out[i].apply(in.Overrides.of(s.Name, real))
		targets := in.Probes.at(s, i, listen)
		if len(targets) == 0 {
			continue
		}
		verdict := judge(s, targets, in.Health)
		out[i].health, out[i].share = cmp.Or(verdict.Status, healthcheck.Unknown), verdict.Share
		for _, t := range targets {
			if risen := in.Risen[t.ID]; risen.After(out[i].risen) {
				out[i].risen = risen
			}
		}
	}
	return out
}

// BelowQuorum says, by the names of the services, which have lost their quorum at
// one listener at least. Services that nothing is decided of are not among them.
func BelowQuorum(c *config.Config, pools map[ipvsctl.ServiceKey]Pool) map[string]bool {
	below := make(map[string]bool)
	for _, s := range c.Services {
		for _, listen := range s.Listen {
			if pools[serviceKey(s, listen)].Below() {
				below[s.Name] = true
			}
		}
	}
	return below
}

var protocols = map[string]ipvsctl.Protocol{"tcp": ipvsctl.TCP, "udp": ipvsctl.UDP, "sctp": ipvsctl.SCTP}

// forwardBy is how packets reach a real server, by its name.
func forwardBy(s config.Service, real config.Real) string {
	if real.Local() {
		return config.Local
	}
	return s.Forward
}

var forwards = map[string]ipvsctl.Forward{"dr": ipvsctl.DR, "tun": ipvsctl.TUN, "nat": ipvsctl.NAT, config.Local: ipvsctl.Local}

// Routers derives the virtual routers of this node. One whose priority table
// does not list the node has none.
func Routers(cfg *config.Config) []vrrp.RouterConfig {
	var routers []vrrp.RouterConfig
	for _, v := range cfg.Routers() {
		if v.Priority == 0 {
			continue
		}
		r := vrrp.RouterConfig{
			Name: v.Name, Interface: v.Interface, VRID: v.RouterID, Priority: v.Priority,
			Version: v.Version, Checksum: vrrp.Checksum(v.Checksum), Authentication: string(v.Authentication),
			Interval: v.Interval, Preempt: v.Preempt, PreemptDelay: v.PreemptDelay,
			Peers: v.Peers, MinTTL: v.MinTTL, Group: v.Group,
		}
		for _, prefix := range v.Addresses {
			r.Addresses = append(r.Addresses, prefix.Addr())
		}
		if link, any := virtualLink(v); any {
			r.Via = link.Name
		}
		routers = append(routers, r)
	}
	return routers
}
