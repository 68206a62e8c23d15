package doctor

import (
	"cmp"
	"fmt"
	"net/netip"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/firewall"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// firewallKinds are about what netfilter does to the packets that matter here.
var firewallKinds = []Kind{
	{"firewall-vrrp", Fault, "a director that hears no adverts takes over although there is a master, and both have the addresses"},
	{"firewall-arp", Fault, "neighbours do not find the address, or this host does not find them"},
	{"firewall-service", Fault, "clients get no answer"},
	{"firewall-checks", Fault, "every check fails, and the real server is taken for dead"},
	{"ipvs-conntrack", Fault, "the firewall takes replies of NAT services for invalid and drops them"},
	{"firewall-peers", Warning, "the directors cannot tell one another of different configurations, judgements or announcements that were not heard"},
	{"firewall-sync", Fault, "the other director does not learn this one's connections: they break when it takes over"},
	{"firewall-unclear", Note, "this may be dropped; the doctor cannot tell"},
}

// anyPort stands for a port that the kernel chooses.
const anyPort = 40000

// Protocols of IP.
const (
	protoICMP   = 1
	protoIPIP   = 4
	protoIPv6   = 41 // IPv6 in either
	protoGRE    = 47
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoVRRP   = 112
	protoSCTP   = 132
)

var protocolNumbers = map[string]uint8{"tcp": protoTCP, "udp": protoUDP, "sctp": protoSCTP}

// somebody is an address of which nothing but the family is known.
func somebody(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.AddrFrom4([4]byte{192, 0, 2, 1})
	}
	return netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: 1})
}

func (p *patient) firewall() {
	if p.Host.Firewall == nil {
		return
	}
	f := &gate{patient: p, reported: map[string]bool{}}
	for _, v := range p.families() {
		f.adverts(v)
		f.messages(v)
		for _, prefix := range v.Addresses {
			f.question(v.Interface, prefix.Addr())
		}
	}
	f.connections()
	for _, s := range p.served() {
		f.balanced(s)
	}
	for _, d := range p.duties {
		f.question(d.ifname, d.real.Address)
		f.served(d)
	}
}

// gate follows packets through the firewall.
type gate struct {
	*patient
	reported map[string]bool // by kind and rule
}

var (
	inbound  = []firewall.Hook{firewall.Ingress, firewall.Prerouting, firewall.Input}
	outbound = []firewall.Hook{firewall.Output, firewall.Postrouting}
)

// pass reports a packet that is dropped at one of the hooks.
func (f *gate) pass(id, what string, hooks []firewall.Hook, packet firewall.Packet) {
	for _, hook := range hooks {
		d := f.Host.Firewall.Follow(hook, packet)
		if d.Fate == firewall.Passes {
			continue
		}
		kind, title := id, "the firewall drops "+what
		if d.Fate == firewall.Unclear {
			kind, title = "firewall-unclear", "whether the firewall lets pass "+what+" is not clear"
		}
		if key := kind + id + d.Rule; !f.reported[key] {
			f.reported[key] = true
			f.found(kind, fmt.Sprintf("at the hook %s: %s", hook, d.Rule),
				letPass(d.Place, packet), "%s", title)
		}
		return
	}
}

// balanced follows the packets of a service through its director.
func (f *gate) balanced(s config.Service) {
	for _, listen := range s.Endpoints() {
		router, _ := f.directs(listen.Addr())
		request := firewall.Packet{
			In: router.Interface, Source: somebody(listen.Addr()), AnySource: true, Destination: listen.Addr(),
			Protocol: protocolNumbers[s.Protocol], SourcePort: anyPort, Port: listen.Port(), State: firewall.New,
		}
		f.pass("firewall-service", fmt.Sprintf("requests for %s (service %s)", listen, s.Name), inbound, request)
		for _, real := range servers(s.At(listen)) {
			way, ok := f.Host.Ways[real.Address]
			if !ok || way.Local {
				continue
			}
			f.forwarded(s, real, listen, request, way.Interface)
			f.replied(s, real, listen, router.Interface, way.Interface)
			f.check(s, real, listen, way.Interface)
		}
	}
}

// forwarded is the request on its way to a real server. IPVS sends it as if this
// host did.
func (f *gate) forwarded(s config.Service, real config.Real, listen netip.AddrPort, request firewall.Packet, by string) {
	request.In, request.Out = "", by
	switch s.Forward {
	case "nat":
		at := realPort(real, listen)
		request.Destination, request.Port = at.Addr(), at.Port()
	case "tun":
		request = wrapping(s, real, listen.Addr())
		request.Out, request.Source = by, f.ownAddress(by, real.Address)
		if !request.Source.IsValid() {
			return
		}
	}
	f.pass("firewall-service", fmt.Sprintf("what service %s forwards to %s", s.Name, real.Address), []firewall.Hook{firewall.Output}, request)
}

// replied is the reply of a NAT real server, which IPVS rewrites after it was
// filtered.
func (f *gate) replied(s config.Service, real config.Real, listen netip.AddrPort, front, back string) {
	if s.Forward != "nat" {
		return
	}
	at := realPort(real, listen)
	reply := firewall.Packet{
		In: back, Out: front, Source: at.Addr(), Destination: somebody(at.Addr()), AnyDestination: true,
		Protocol: protocolNumbers[s.Protocol], SourcePort: at.Port(), Port: anyPort, State: firewall.Established,
	}
	f.pass("firewall-service", fmt.Sprintf("replies of %s (service %s)", at, s.Name), []firewall.Hook{firewall.Forward}, reply)
	tracked, ok := f.Host.Number("net/ipv4/vs/conntrack")
	if !ok || tracked != 0 || !f.Host.Firewall.Tracks() || f.Host.Firewall.Follow(firewall.Forward, reply).Fate != firewall.Passes {
		return
	}
	reply.State = firewall.Invalid
	d := f.Host.Firewall.Follow(firewall.Forward, reply)
	if d.Fate == firewall.Dropped && !f.reported["ipvs-conntrack"+d.Rule] {
		f.reported["ipvs-conntrack"+d.Rule] = true
		f.found("ipvs-conntrack", "net.ipv4.vs.conntrack = 0, and "+d.Rule+" drops what connection tracking does not know",
			"sysctl -w net.ipv4.vs.conntrack=1, or let replies of NAT services pass without looking at their state",
			"the firewall asks for the state of connections that IPVS hides from it")
	}
}

// checkProtocols are those of the checks that do not use TCP.
var checkProtocols = map[string]uint8{"udp": protoUDP, "dns": protoUDP, "ping": protoICMP, "file": 0, "exec": 0}

// check follows the health checks of a real server and their answers.
func (f *gate) check(s config.Service, real config.Real, listen netip.AddrPort, by string) {
	checks := real.Checks
	if len(checks) == 0 {
		checks = s.Checks
	}
	for _, c := range checks {
		f.checkBy(c, s, real, listen, by)
	}
}

func (f *gate) checkBy(c config.Check, s config.Service, real config.Real, listen netip.AddrPort, by string) {
	protocol, special := checkProtocols[c.Type]
	if !special {
		protocol = protoTCP
	}
	if protocol == protoICMP && !real.Address.Is4() {
		protocol = protoICMPv6
	}
	own := f.ownAddress(by, real.Address)
	if protocol == 0 || !own.IsValid() {
		return
	}
	port := cmp.Or(c.Port, real.Port, listen.Port())
	out := firewall.Packet{Out: by, Source: own, Destination: real.Address, Protocol: protocol, SourcePort: anyPort, Port: port, State: firewall.New}
	in := firewall.Packet{In: by, Source: real.Address, Destination: own, Protocol: protocol, SourcePort: port, Port: anyPort, State: firewall.Established}
	f.pass("firewall-checks", fmt.Sprintf("checks of %s (service %s)", real.Address, s.Name), outbound, out)
	f.pass("firewall-checks", fmt.Sprintf("answers to checks of %s (service %s)", real.Address, s.Name), inbound, in)
}

// served follows the packets of a service on its real server.
func (f *gate) served(d duty) {
	for _, listen := range d.endpoints() {
		at := destination(d, listen)
		in := d.ifname
		if d.service.Forward == ipvsctl.TUN.String() {
			outer := wrapping(d.service, d.real, listen.Addr())
			outer.In, outer.Source, outer.AnySource = d.ifname, somebody(d.real.Address), true
			f.pass("firewall-service", fmt.Sprintf("tunnelled packets of service %s", d.service.Name), inbound, outer)
			for _, a := range f.Host.Has(listen.Addr()) {
				in = a.Interface
			}
		}
		protocol := protocolNumbers[d.service.Protocol]
		f.pass("firewall-service", fmt.Sprintf("requests for %s (service %s)", at, d.service.Name), inbound, firewall.Packet{
			In: in, Source: somebody(at.Addr()), AnySource: true, Destination: at.Addr(),
			Protocol: protocol, SourcePort: anyPort, Port: at.Port(), State: firewall.New,
		})
		f.pass("firewall-service", fmt.Sprintf("replies from %s (service %s)", at, d.service.Name), outbound, firewall.Packet{
			Out: d.ifname, Source: at.Addr(), Destination: somebody(at.Addr()), AnyDestination: true,
			Protocol: protocol, SourcePort: at.Port(), Port: anyPort, State: firewall.Established,
		})
	}
}

// wrapping is a packet around one for a virtual address, on its way to a real server.
func wrapping(s config.Service, real config.Real, vip netip.Addr) firewall.Packet {
	outer := firewall.Packet{Destination: real.Address, Protocol: protoIPIP, State: firewall.New}
	switch tunnel := s.Attributes.Tunnel; {
	case tunnel.Type == "gre":
		outer.Protocol = protoGRE
	case tunnel.Type == "gue":
		outer.Protocol, outer.SourcePort, outer.Port = protoUDP, anyPort, tunnel.Port
	case vip.Is6():
		outer.Protocol = protoIPv6
	}
	return outer
}
