package trace

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// Predict tells the journey as it will go, from what was read of this host. On any
// host but the master, the service is what the configuration says, and who is
// chosen is not known.
func Predict(in Input) Journey {
	j := Journey{Client: in.Client, Target: in.Target, Protocol: in.Protocol.String(), Hops: []Hop{}}
	r := route{Input: in, journey: &j}
	if !r.director() {
		return j
	}
	r.arrives()
	live, ok := r.service()
	if !ok {
		return j
	}
	choice := choose(in, live)
	j.Choice = &choice
	i := slices.IndexFunc(live.Dests, func(d ipvsctl.LiveDest) bool {
		return d.Key.Address == choice.Real.Addr() && d.Key.Port == choice.Real.Port()
	})
	if !choice.Real.IsValid() {
		// Any candidate serves to show the way.
		i = slices.IndexFunc(choice.Candidates, func(c Candidate) bool { return c.Out == "" })
		if i < 0 {
			j.Ends = "nobody takes it: " + choice.Why
			return j
		}
		r.example = "for example: " + choice.Candidates[i].Real.String()
	}
	if i < 0 {
		j.Ends = fmt.Sprintf("%s is no longer a real server of the service: the kernel drops the packet, or ends the connection with expire_nodest_conn", choice.Real)
		return j
	}
	r.forwarded(live.Dests[i].Dest)
	return j
}

// route is a journey that is being told.
type route struct {
	Input
	journey *Journey
	mac     net.HardwareAddr // of the director
	ifname  string           // by which the client's packet comes in
	back    string           // whom the director's or real server's answer goes to
	backMAC string
	example string
}

func (r *route) unknown(format string, args ...any) {
	r.journey.Unknown = append(r.journey.Unknown, fmt.Sprintf(format, args...))
}

// director finds out who answers for the address.
func (r *route) director() bool {
	vip := r.Target.Addr()
	for _, a := range r.Host.Has(vip) {
		link, ok := r.Host.Link(a.Interface)
		if ok && !link.Loopback && !link.NoARP {
			r.journey.Director, r.journey.Here = "this host", true
			r.mac, r.ifname = link.MAC, a.Interface
			return true
		}
	}
	if r.Segment != nil {
		for q, answers := range r.Segment.Owners {
			if q.Address != vip || len(answers) == 0 {
				continue
			}
			r.mac, r.ifname = answers[0].MAC, q.Interface
			r.journey.Director = r.name(r.mac)
			if len(answers) > 1 {
				r.unknown("which of %d stations gets it: more than one answers for %s (haldir arp %s)", len(answers), vip, vip)
			}
			return true
		}
	}
	r.journey.Ends = fmt.Sprintf("nobody that this host can ask has %s: without an answer to ARP the packet is not even sent", vip)
	return false
}

// name is whose a MAC is, or the MAC itself.
func (r *route) name(mac net.HardwareAddr) string {
	if name := r.Directory.Name(mac); name != "" {
		return name
	}
	if mac == nil {
		return "an unknown station"
	}
	return mac.String()
}

// arrives is the hop to the director: from the client, or from its router.
func (r *route) arrives() {
	hop := Hop{
		From: "client " + r.Client.Addr().String(), To: "director " + r.journey.Director, Source: r.Client, Destination: r.Target,
		DestinationMAC: text(r.mac),
	}
	var mac net.HardwareAddr
	r.back = hop.From
	if r.onLink(r.Client.Addr()) {
		mac = r.Host.MACOf(r.Client.Addr())
	} else {
		hop.From = "the router between client and director"
		if way, ok := r.Host.Ways[r.Client.Addr()]; ok && way.Gateway.IsValid() {
			hop.From = "router " + way.Gateway.String()
			mac = r.Host.MACOf(way.Gateway)
		}
		r.back = hop.From
	}
	hop.SourceMAC, r.backMAC = text(mac), text(mac)
	r.journey.Hops = append(r.journey.Hops, hop)
}

// onLink reports whether an address is in a network of this host's interface.
func (r *route) onLink(addr netip.Addr) bool {
	return slices.ContainsFunc(r.Host.Addresses, func(a facts.Address) bool {
		return a.Interface == r.ifname && a.Prefix.Contains(addr)
	})
}

func text(mac net.HardwareAddr) string {
	if mac == nil {
		return ""
	}
	return mac.String()
}

// service finds what matches: on this host in the kernel, elsewhere in the
// configuration.
func (r *route) service() (ipvsctl.LiveService, bool) {
	named, configured := r.configured()
	if !r.journey.Here {
		if configured {
			r.journey.Service = &Service{named.Name, r.Protocol.String() + " " + r.Target.String(), named.Scheduler, "the configuration"}
		}
		r.unknown("which real server is chosen: that is in the kernel of %s; run haldir trace there", r.journey.Director)
		return ipvsctl.LiveService{}, false
	}
	live, ok := service(r.Input)
	if !ok {
		r.journey.Ends = fmt.Sprintf("IPVS has no service for %s %s: this host itself answers, or refuses", r.Protocol, r.Target)
		return live, false
	}
	r.journey.Service = &Service{named.Name, live.Key.String(), live.Scheduler, "the kernel"}
	for _, s := range r.Host.Table {
		if s.Key.FWMark != 0 {
			r.unknown("whether netfilter marks the packet for %s, which would come first", s.Key)
		}
	}
	return live, true
}

// configured is the service of the configuration that listens there.
func (r *route) configured() (config.Service, bool) {
	if r.Config == nil {
		return config.Service{}, false
	}
	for _, s := range r.Config.Services {
		if s.Protocol == r.Protocol.String() && slices.Contains(s.Listen, r.Target) {
			return s, true
		}
	}
	return config.Service{}, false
}

// forwarded is the hop to the real server, and the way back.
func (r *route) forwarded(d ipvsctl.Dest) {
	real := netip.AddrPortFrom(d.Key.Address, d.Key.Port)
	server := "real server " + real.Addr().String()
	way, ok := r.Host.Ways[d.Key.Address]
	if d.Forward == ipvsctl.Local || ok && way.Local {
		r.journey.Reply = "this host answers itself"
		r.journey.Needs = []string{"a server that listens on " + r.Target.String()}
		return
	}
	if !ok {
		r.journey.Ends = "there is no route to " + server
		return
	}
	out, _ := r.Host.Link(way.Interface)
	hop := Hop{
		From: "director " + r.journey.Director, To: server, SourceMAC: text(out.MAC), DestinationMAC: text(r.Host.MACOf(real.Addr())),
		Source: r.Client, Destination: r.Target, Note: r.example,
	}
	if way.Gateway.IsValid() {
		hop.To = fmt.Sprintf("router %s on the way to %s", way.Gateway, server)
		hop.DestinationMAC = text(r.Host.MACOf(way.Gateway))
	}
	switch d.Forward {
	case ipvsctl.DR:
		if way.Gateway.IsValid() {
			r.journey.Ends = fmt.Sprintf("%s is behind router %s: it gets a packet for %s and sends it back to the director", server, way.Gateway, r.Target.Addr())
		}
		r.direct(server, hop)
	case ipvsctl.TUN:
		hop.Outer = &Outer{way.Source, real.Addr()}
		r.direct(server, hop)
	case ipvsctl.NAT:
		hop.Destination = real
		r.translated(server, real, hop)
	}
	if r.journey.Ends != "" {
		r.journey.Reply, r.journey.Needs = "", nil
		r.journey.Hops = r.journey.Hops[:2]
	}
	if d.Forward == ipvsctl.TUN {
		r.journey.Needs = append(tunnelNeeds(d, r.Target.Addr()), r.journey.Needs...)
	}
	if d.Forward == ipvsctl.DR && r.journey.Ends == "" {
		needs := hiddenNeeds(r.Target.Addr())
		if named, ok := r.configured(); ok && named.Redirect {
			needs = []string{fmt.Sprintf("a rule of nftables that redirects %s to the server's port; it does not have the address", r.Target)}
		}
		r.journey.Needs = append(needs, r.journey.Needs...)
	}
}

func hiddenNeeds(vip netip.Addr) []string {
	return []string{
		fmt.Sprintf("%s/%d on lo, or its kernel drops the packet", vip, vip.BitLen()),
		"arp_ignore 1 and arp_announce 2, or it answers ARP for the address in the director's place",
	}
}

func tunnelNeeds(d ipvsctl.Dest, vip netip.Addr) []string {
	return []string{
		fmt.Sprintf("a tunnel of type %s that is up, with %s/%d on it", d.Tunnel.Type, vip, vip.BitLen()),
		"rp_filter 0 or 2 on the tunnel, for the answer leaves by another interface",
	}
}

// direct is the way by direct routing and tunnels: the real server answers the
// client itself.
func (r *route) direct(server string, hop Hop) {
	r.journey.Hops = append(r.journey.Hops, hop)
	answer := Hop{From: server, To: r.back, SourceMAC: hop.DestinationMAC, DestinationMAC: r.backMAC, Source: r.Target, Destination: r.Client}
	if hop.Outer != nil {
		answer.SourceMAC, answer.DestinationMAC = "", ""
		answer.To = "its own next hop to the client"
	} else if !r.onLink(r.Client.Addr()) {
		answer.To, answer.DestinationMAC = "its own router", ""
	}
	r.journey.Hops = append(r.journey.Hops, answer)
	r.journey.Needs = []string{
		fmt.Sprintf("a server that listens on %s", r.Target),
		"a route of its own to " + r.Client.Addr().String(),
	}
	r.journey.Reply = "directly from the real server to the client, with " + r.Target.String() + " as its source; the director does not see it"
}

// translated is the way by NAT: the answer comes back through the director.
func (r *route) translated(server string, real netip.AddrPort, hop Hop) {
	r.journey.Hops = append(r.journey.Hops, hop,
		Hop{From: server, To: hop.From, SourceMAC: hop.DestinationMAC, DestinationMAC: hop.SourceMAC, Source: real, Destination: r.Client},
		Hop{From: hop.From, To: r.back, SourceMAC: text(r.mac), DestinationMAC: r.backMAC, Source: r.Target, Destination: r.Client})
	r.journey.Needs = []string{
		fmt.Sprintf("a server that listens on %s", real),
		"a default route to the director's address in its network, or the answer bypasses the director",
		"accept_redirects 0, or it may learn a way past the director",
	}
	r.journey.Reply = "through the director, which gives it " + r.Target.String() + " as its source"
}
