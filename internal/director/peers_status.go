package director

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/peer"
	"github.com/haldir-lb/haldir/vrrp"
)

const (
	// settleTime is how long directors may differ while each finds out for itself.
	settleTime = 5 * time.Second
	// hearTime is how long an announcement takes to be heard and told.
	hearTime = 3 * time.Second
)

// director shows what another director said.
func (v *view) director(p peer.Peer) control.DirectorStatus {
	age := v.now.Sub(p.At)
	out := control.DirectorStatus{
		Node: p.Node, Address: text(p.From), Interface: p.Interface, Age: control.Of(age), Silent: age > peer.Silence,
		Release: p.Release, Digest: p.Config, SameConfig: p.Config == v.config.Digest, Partial: p.Partial,
	}
	for _, r := range p.Routers {
		out.Routers = append(out.Routers, control.PeerRouter{Name: r.Name, State: r.State, Priority: r.Priority})
	}
	for _, h := range p.Heard {
		ago := time.Duration(h.Ago)*time.Millisecond + age
		out.Heard = append(out.Heard, control.AnnouncementEar{Address: h.Address.String(), MAC: h.MAC, Age: control.Of(ago)})
	}
	if !out.Silent {
		out.Judgements = v.otherJudgements(p)
	}
	return out
}

// otherJudgements lists what the two directors have judged differently for some
// time.
func (v *view) otherJudgements(p peer.Peer) []control.OtherJudgement {
	theirs := make(map[string]peer.NotUp, len(p.NotUp))
	for _, n := range p.NotUp {
		theirs[n.ID] = n
	}
	var out []control.OtherJudgement
	for _, id := range slices.Sorted(maps.Keys(v.health)) {
		ours := v.health[id]
		other, listed := theirs[id]
		switch {
		case ours.Known || v.now.Sub(ours.Since) < settleTime:
		case ours.Status == healthcheck.Up && listed && other.Status == string(healthcheck.Down):
			out = append(out, control.OtherJudgement{Target: id, Ours: string(ours.Status), Theirs: other.Status, Reason: other.Reason})
		case ours.Status == healthcheck.Down && !listed && !p.Partial && p.Config == v.config.Digest:
			out = append(out, control.OtherJudgement{Target: id, Ours: string(ours.Status), Theirs: string(healthcheck.Up)})
		}
	}
	return out
}

// peerProblems tells what two directors have to agree on, and do not.
func (v *view) peerProblems(say func(string, ...any), directors []control.DirectorStatus) {
	for _, d := range directors {
		if d.Silent {
			continue
		}
		if d.Node == v.config.Node {
			say("another director at %s is called %s too: node names have to differ", d.Address, d.Node)
		}
		if !d.SameConfig {
			say("%s has another configuration (%.8s, here %.8s)", d.Node, d.Digest, v.config.Digest)
		}
		for _, j := range d.Judgements {
			say("%s judges %s %s, here it is %s", d.Node, j.Target, j.Theirs, j.Ours)
		}
		for _, address := range v.unheard(d) {
			say("%s has not heard the announcements of %s: does the network between the directors pass them?", d.Node, address)
		}
	}
}

// unheard lists the addresses that this node announced a while ago by ARP or
// neighbour discovery without the other director having heard of it. Only a
// director on the same link can.
func (v *view) unheard(d control.DirectorStatus) []netip.Addr {
	var out []netip.Addr
	for _, r := range v.config.Routers() {
		if v.roles[r.Name].State != vrrp.Master || len(r.Peers) > 0 || r.Interface != d.Interface {
			continue
		}
		for _, prefix := range r.Addresses {
			at := v.announced[arp.Target{Interface: device(r, prefix.Addr()), Address: prefix.Addr()}].Last
			told := v.now.Add(-d.Age.Duration())
			if at.IsZero() || told.Sub(at) < hearTime {
				continue
			}
			heard := slices.ContainsFunc(d.Heard, func(h control.AnnouncementEar) bool {
				return h.Address == prefix.Addr().String() && v.now.Add(-h.Age.Duration()).After(at.Add(-hearTime))
			})
			if !heard {
				out = append(out, prefix.Addr())
			}
		}
	}
	return out
}
