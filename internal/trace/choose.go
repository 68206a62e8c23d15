package trace

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// service finds the service of the kernel's table that takes the packet, in the
// kernel's order: the exact port, then every port. Services by mark come first
// there; what marks the packet is not looked at here.
func service(in Input) (ipvsctl.LiveService, bool) {
	for _, port := range []uint16{in.Target.Port(), 0} {
		for _, s := range in.Host.Table {
			if s.Key == (ipvsctl.ServiceKey{Protocol: in.Protocol, Address: in.Target.Addr(), Port: port}) {
				return s, true
			}
		}
	}
	return ipvsctl.LiveService{}, false
}

// choose says which real server gets the packet, as ip_vs_in does: the connection
// table first, then the template of a persistent service, then the scheduler.
func choose(in Input, s ipvsctl.LiveService) Choice {
	candidates := candidatesOf(s)
	if c, ok := connection(in); ok {
		return Choice{Real: c.Dest, By: "connection", Why: fmt.Sprintf("the connection is in the table: %s, %s left", c.State, c.Expires), Candidates: candidates}
	}
	if t, ok := template(in, s); ok {
		return Choice{Real: t.Dest, By: "template", Why: fmt.Sprintf("persistence: the client was sent there before, %s left", t.Expires), Candidates: candidates}
	}
	c := schedule(s, candidates)
	c.Candidates = candidates
	if in.Client.Port() == 0 {
		if n := slices.IndexFunc(in.Connections, func(c ipvsctl.Connection) bool { return ofPair(in, c) && !c.Template() }); n >= 0 {
			c.Why += "; this is about a new connection, the table has one of this client to " + in.Connections[n].Dest.String()
		}
	}
	return c
}

// ofPair reports whether an entry is of the client's address and the target.
func ofPair(in Input, c ipvsctl.Connection) bool {
	return c.Client.Addr() == in.Client.Addr() && c.Virtual == in.Target && c.Protocol == in.Protocol
}

func connection(in Input) (ipvsctl.Connection, bool) {
	i := slices.IndexFunc(in.Connections, func(c ipvsctl.Connection) bool {
		return ofPair(in, c) && !c.Template() && c.Client.Port() == in.Client.Port()
	})
	if in.Client.Port() == 0 || i < 0 {
		return ipvsctl.Connection{}, false
	}
	return in.Connections[i], true
}

// template finds the entry that keeps the client, or its network, on a server. The
// kernel passes over one whose server has weight 0 if it is told to.
func template(in Input, s ipvsctl.LiveService) (ipvsctl.Connection, bool) {
	if s.Persistence == 0 {
		return ipvsctl.Connection{}, false
	}
	bits := int(s.PersistencePrefix)
	if bits == 0 || bits > in.Client.Addr().BitLen() {
		bits = in.Client.Addr().BitLen()
	}
	network, err := in.Client.Addr().Prefix(bits)
	if err != nil {
		return ipvsctl.Connection{}, false
	}
	for _, c := range in.Connections {
		same := c.Virtual.Addr() == in.Target.Addr() && (c.Virtual.Port() == in.Target.Port() || c.Virtual.Port() == 0)
		if !c.Template() || !same || c.Client.Addr() != network.Addr() {
			continue
		}
		i := slices.IndexFunc(s.Dests, func(d ipvsctl.LiveDest) bool { return d.Key.Address == c.Dest.Addr() })
		quiescent, ok := in.Host.Number("net/ipv4/vs/expire_quiescent_template")
		if i < 0 || ok && quiescent != 0 && s.Dests[i].Weight == 0 {
			continue
		}
		if c.Dest.Port() == 0 {
			c.Dest = netip.AddrPortFrom(c.Dest.Addr(), s.Dests[i].Key.Port)
		}
		return c, true
	}
	return ipvsctl.Connection{}, false
}

func candidatesOf(s ipvsctl.LiveService) []Candidate {
	var list []Candidate
	for _, d := range s.Dests {
		c := Candidate{
			Real: netip.AddrPortFrom(d.Key.Address, d.Key.Port), Forward: d.Forward.String(),
			Weight: d.Weight, Active: d.ActiveConns, Inactive: d.InactiveConns,
		}
		switch {
		case d.Weight == 0:
			c.Out = "weight 0"
		case d.Upper > 0 && d.ActiveConns+d.InactiveConns >= d.Upper:
			c.Out = fmt.Sprintf("it has its limit of %d connections", d.Upper)
		}
		list = append(list, c)
	}
	return list
}

// loads are what the schedulers compare that look at connections alone, as the
// kernel computes them: the lowest load for each unit of weight wins.
var loads = map[string]func(Candidate) uint64{
	"lc":  func(c Candidate) uint64 { return overhead(c) },
	"wlc": func(c Candidate) uint64 { return overhead(c) },
	"sed": func(c Candidate) uint64 { return uint64(c.Active) + 1 },
	"nq":  func(c Candidate) uint64 { return uint64(c.Active) + 1 },
}

// overhead counts an active connection as 256 inactive ones.
func overhead(c Candidate) uint64 { return uint64(c.Active)<<8 + uint64(c.Inactive) }

// schedule tells whom the scheduler will choose, as far as that can be told.
func schedule(s ipvsctl.LiveService, candidates []Candidate) Choice {
	in := slices.DeleteFunc(slices.Clone(candidates), func(c Candidate) bool { return c.Out != "" })
	choice := Choice{By: "scheduler"}
	switch len(in) {
	case 0:
		choice.Why = "no real server takes new connections"
		return choice
	case 1:
		choice.Real, choice.Why = in[0].Real, "it is the only one that takes new connections"
		return choice
	}
	best, tied := winners(s.Scheduler, in)
	switch {
	case best == nil:
		choice.Why = s.Scheduler + " goes on from where it was last, which the kernel does not tell: one of the candidates by their weights"
		if hashes[s.Scheduler] != "" {
			choice.Why = s.Scheduler + " chooses by " + hashes[s.Scheduler] + ", always the same; the kernel does not tell which"
		}
	case tied > 1:
		choice.Why = fmt.Sprintf("%s: %d candidates are equal, and the first in the kernel's list is taken", s.Scheduler, tied)
	default:
		choice.Real = best.Real
		choice.Why = fmt.Sprintf("%s: it has the least load (%d active, %d inactive connections, weight %d)", s.Scheduler, best.Active, best.Inactive, best.Weight)
	}
	return choice
}

// hashes are the schedulers that choose by a hash, with what they look at.
var hashes = map[string]string{
	"sh": "the client's address", "dh": "the destination's address", "mh": "the client's address", "lblc": "the destination's address", "lblcr": "the destination's address",
}

// winners returns the candidate of the lowest load and how many have that; nil
// for a scheduler that does not go by load alone.
func winners(scheduler string, in []Candidate) (*Candidate, int) {
	load := loads[scheduler]
	if load == nil {
		return nil, 0
	}
	if scheduler == "nq" { // whoever is idle first
		if idle := slices.DeleteFunc(slices.Clone(in), func(c Candidate) bool { return c.Active > 0 }); len(idle) > 0 {
			return &idle[0], len(idle)
		}
	}
	less := func(a, b Candidate) bool { return load(a)*weight(scheduler, b) < load(b)*weight(scheduler, a) }
	best, tied := in[0], 1
	for _, c := range in[1:] {
		switch {
		case less(c, best):
			best, tied = c, 1
		case !less(best, c):
			tied++
		}
	}
	return &best, tied
}

// weight is what the load is divided by; lc knows none.
func weight(scheduler string, c Candidate) uint64 {
	if scheduler == "lc" {
		return 1
	}
	return uint64(c.Weight)
}
