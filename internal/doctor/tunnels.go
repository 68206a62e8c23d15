package doctor

import (
	"fmt"
	"net/netip"

	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/realserver"
)

// tunnelKinds are about what takes packets of TUN services out of their wrapping.
var tunnelKinds = []Kind{
	{"tunnel-missing", Fault, "packets of TUN services arrive wrapped, and nothing unwraps them"},
	{"tunnel-mtu", Warning, "clients send segments that do not fit into the tunnel: they are lost where ICMP is filtered, and fragmented or sent twice elsewhere"},
}

// device is one that takes packets out, by the name that it has at first.
type device struct {
	kind   string // as Link.Type has it
	module string
}

var devices = map[string]device{
	netif.DeviceIPIP: {"ipip", "ipip"}, netif.DeviceSIT: {"sit", "sit"}, netif.DeviceIP6: {"ip6tnl", "ip6_tunnel"},
	netif.DeviceGRE: {"gre", "ip_gre"}, netif.DeviceIP6GRE: {"ip6gre", "ip6_gre"},
}

// wrapped says how packets for a virtual address come to the real server by TUN.
func (d duty) wrapped(vip netip.Addr) (name string, overhead int) {
	return realserver.Wrapped(d.service.Attributes.Tunnel, vip.Is6(), d.real.Address.Is6())
}

func (p *patient) tunnels() {
	missing, large := map[string]bool{}, map[string]bool{}
	for _, d := range p.duties {
		if d.service.Forward != "tun" || p.Host.Links == nil {
			continue
		}
		for _, at := range d.endpoints() {
			name, overhead := d.wrapped(at.Addr())
			if !p.up(devices[name].kind) && !missing[name] {
				missing[name] = true
				p.found("tunnel-missing", "no interface of type "+devices[name].kind+" is up", "haldir realserver apply",
					"this real server of TUN service %s has no tunnel", d.service.Name)
			}
			p.portOfGUE(d, missing)
			if key := d.service.Name + familyName(at.Addr().Is4()); d.service.Protocol == "tcp" && !large[key] {
				large[key] = true
				p.tunnelMTU(d, at, overhead)
			}
		}
	}
}

func (p *patient) up(kind string) bool {
	for _, l := range p.Host.Links {
		if l.Up && l.Type == kind {
			return true
		}
	}
	return false
}

// portOfGUE looks for the socket by which the kernel receives GUE.
func (p *patient) portOfGUE(d duty, missing map[string]bool) {
	tunnel := d.service.Attributes.Tunnel
	at := netip.AddrPortFrom(d.real.Address, tunnel.Port)
	if tunnel.Type != "gue" || p.Host.Listeners == nil || missing[at.String()] || p.listens("udp", at) {
		return
	}
	missing[at.String()] = true
	p.found("tunnel-missing", p.listenersAt("udp", at.Port()), "haldir realserver apply",
		"this real server of TUN service %s receives no GUE at port %d", d.service.Name, at.Port())
}

// The headers of a TCP segment, in bytes.
const (
	segmentHeaders  = 40
	segmentHeaders6 = 60
)

// tunnelMTU compares what clients may send with what fits into the tunnel.
func (p *patient) tunnelMTU(d duty, at netip.AddrPort, overhead int) {
	vip := at.Addr()
	link, ok := p.Host.Link(d.ifname)
	used := best(p.Host.Routes, vip)
	if !ok || len(used) == 0 {
		return
	}
	out, ok := p.Host.Link(used[0].Interface)
	if !ok {
		return
	}
	headers := segmentHeaders
	if vip.Is6() {
		headers = segmentHeaders6
	}
	// The largest packet that a client sends follows from the segment size that this
	// host names, which follows from the route by which it replies.
	largest := out.MTU
	if used[0].MTU > 0 {
		largest = min(largest, used[0].MTU)
	}
	if used[0].MSS > 0 {
		largest = min(largest, used[0].MSS+headers)
	}
	// haldir realserver has a rule that lowers it.
	for _, c := range p.Host.Clamps.Rules {
		if c.Address == vip && (c.Port == at.Port() || c.Port == 0) {
			largest = min(largest, int(c.MSS)+headers)
		}
	}
	if largest+overhead > link.MTU {
		p.found("tunnel-mtu",
			fmt.Sprintf("by its default route this host lets clients send packets of %d bytes; with the %d of the tunnel they have %d, and %s takes %d",
				largest, overhead, largest+overhead, d.ifname, link.MTU),
			fmt.Sprintf("ip%s route change default %s advmss %d, or a larger MTU between director and real server",
				familyFlag(vip.Is4()), command(used[0]), link.MTU-overhead-headers),
			"segments of clients are too large for the tunnel of service %s", d.service.Name)
	}
}

// command is a route as ip(8) wants it.
func command(r netif.Route) string {
	if !r.Gateway.IsValid() {
		return "dev " + r.Interface
	}
	return fmt.Sprintf("via %s dev %s", r.Gateway, r.Interface)
}
