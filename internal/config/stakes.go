package config

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/haldir-lb/haldir/internal/track"
)

// Stakes is what the trackers of a virtual router can do to one node.
type Stakes struct {
	// Low and High bound the effective priority.
	Low, High uint8
	// Healthy is the priority with all trackers up and no number set.
	Healthy uint8
	// Out says whether the node can become not eligible.
	Out bool
	// Worst says of each tracker what it does to the node at its worst: "out", or
	// the change of the priority.
	Worst []TrackerStake
}

// TrackerStake is the part of one tracker.
type TrackerStake struct {
	Tracker string
	Effect  string
}

// stakes computes what trackers can do to a node of a base priority.
func stakes(base uint8, trackers []Tracker) Stakes {
	low, high, healthy := int(base), int(base), int(base)
	s := Stakes{}
	for _, t := range trackers {
		f := t.Factor()
		s.Out = s.Out || f.Disables()
		low, high, healthy = low+f.Worst(), high+f.Best(), healthy+max(f.Weight, 0)
		effect := "out"
		switch {
		case f.Reads:
			effect = "-253..+254, or out"
		case f.Disables():
		case base == track.Owner:
			effect = "nothing"
		case f.Weight > 0:
			effect = fmt.Sprintf("%+d while up", f.Weight)
		default:
			effect = fmt.Sprintf("%+d", f.Weight)
		}
		s.Worst = append(s.Worst, TrackerStake{Tracker: t.Name(), Effect: effect})
	}
	s.Low, s.High, s.Healthy = track.Clamp(low), track.Clamp(high), track.Clamp(healthy)
	if base == track.Owner {
		s.Low, s.High, s.Healthy = track.Owner, track.Owner, track.Owner
	}
	return s
}

// moot says what of the trackers of v can never have an effect.
func (c *Config) moot(v VRRP) []string {
	trackers := c.Trackers(v)
	if len(trackers) == 0 {
		return nil
	}
	weights := slices.ContainsFunc(trackers, func(t Tracker) bool { return t.Weight != 0 || t.Kind == TrackNumber })
	if !weights {
		return nil
	}
	var out []string
	if !v.Preempt {
		out = append(out, "with preempt = false no weight moves the addresses: a master stays, whatever its priority has become")
	}
	type node struct {
		name string
		base uint8
		Stakes
	}
	var nodes []node
	for _, name := range c.Nodes() {
		if base := v.Priorities.For(name); base != 0 {
			nodes = append(nodes, node{name, base, stakes(base, trackers)})
		}
	}
	for _, n := range nodes {
		if n.base == track.Owner {
			out = append(out, fmt.Sprintf("no weight changes the priority 255 of %s", n.name))
		}
	}
	if len(nodes) < 2 || !v.Preempt {
		return out
	}
	// A backup of equal priority does not preempt (RFC 9568, section 6.4.2).
	slices.SortStableFunc(nodes, func(a, b node) int { return cmp.Compare(b.Healthy, a.Healthy) })
	first, second := nodes[0], nodes[1]
	if first.base != track.Owner && !first.Out && first.Low >= second.Healthy {
		out = append(out, fmt.Sprintf("no failure can move the addresses away from %s: at its worst it has priority %d, and %s has %d; %s",
			first.name, first.Low, second.name, second.Healthy, "the weights of the trackers have to be larger, or left out"))
	}
	return out
}

// warnMoot warns of trackers that can have no effect.
func (l *loader) warnMoot() {
	if len(l.found.errors) > 0 {
		return
	}
	var c Config
	for _, b := range l.vrrp {
		c.VRRP = append(c.VRRP, b.VRRP)
	}
	for _, g := range l.groups {
		c.SyncGroups = append(c.SyncGroups, g.SyncGroup)
	}
	for i, b := range l.vrrp {
		at := b.head
		if len(b.track) > 0 {
			at = b.track[0].head
		}
		for _, message := range c.moot(c.VRRP[i]) {
			l.found.warn(at, problem{message: message})
		}
	}
}
