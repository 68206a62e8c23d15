package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// SyncGroup makes virtual routers move as one.
type SyncGroup struct {
	Name    string
	Members []string // names of [[vrrp]] blocks, at least two, in the order of the file
	// Track is what all members depend on besides their own.
	Track []Tracker
	// Notify says who is told what becomes of the group; nil: nobody.
	Notify *Notify
}

// GroupOf returns the group that a virtual router, or its block, is a member of, or nil.
func (c *Config) GroupOf(vrrp string) *SyncGroup {
	for i := range c.SyncGroups {
		if slices.Contains(c.SyncGroups[i].Members, Block(vrrp)) {
			return &c.SyncGroups[i]
		}
	}
	return nil
}

// Trackers returns all that a virtual router depends on: its own trackers, and in
// a group those of the group and of all members, since they move as one.
func (c *Config) Trackers(v VRRP) []Tracker {
	group := c.GroupOf(v.Name)
	if group == nil {
		return v.Track
	}
	all := slices.Clone(group.Track)
	for _, member := range c.VRRP {
		if slices.Contains(group.Members, Block(member.Name)) {
			all = append(all, member.Track...)
		}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(t Tracker) bool {
		again := seen[t.String()]
		seen[t.String()] = true
		return again
	})
}

// groupBlock is one [[sync_group]] as it is read.
type groupBlock struct {
	SyncGroup
	name    field[string]
	members []field[string]
	track   []trackBlock
	notify  notifyBlock
}

func (l *loader) decodeGroup(t *table) *groupBlock {
	t.path = blockName("sync_group", t)
	t.require("name")
	t.require("members")
	g := &groupBlock{name: t.name("name")}
	g.members, _ = t.strings("members", "names of [[vrrp]] blocks")
	g.track = l.decodeTrack(t)
	g.notify = l.decodeNotify(t)
	t.finish()
	g.SyncGroup = SyncGroup{Name: g.name.value, Track: trackers(g.track), Notify: g.notify.Notify}
	for _, m := range g.members {
		g.Members = append(g.Members, m.value)
	}
	if len(g.members) == 1 {
		t.found.add(g.members[0].place, problem{message: "a group of one moves as one anyway", legal: "at least two members"})
	}
	return g
}

// checkGroups finds what is wrong with groups in sight of their members.
func (l *loader) checkGroups() {
	names, member := map[string]place{}, map[string]place{}
	for _, g := range l.groups {
		l.unique(names, g.name, "[[sync_group]]")
		l.checkTrack(g.track, "")
		l.checkNotify(g.notify)
		var blocks []*vrrpBlock
		for _, m := range g.members {
			if !m.good {
				continue
			}
			if first, ok := member[m.value]; ok {
				l.found.add(m.place, problem{message: fmt.Sprintf("a member already, at %s", first.seenFrom(m.place)), legal: "each [[vrrp]] in one group"})
				continue
			}
			member[m.value] = m.place
			b := l.blockOf(m)
			if b == nil {
				continue
			}
			for _, other := range blocks {
				if l.checkMembers(m.place, b, other) {
					break
				}
			}
			blocks = append(blocks, b)
		}
	}
}

// blockOf finds the block that a group names.
func (l *loader) blockOf(m field[string]) *vrrpBlock {
	var names []string
	for _, b := range l.vrrp {
		if b.VRRP.Name == m.value {
			return b
		}
		names = append(names, b.VRRP.Name)
	}
	what := problem{message: "there is no [[vrrp]] of this name", legal: shorten(list(names))}
	if near := nearest(m.value, names); near != "" {
		what.suggestion = strconv.Quote(near)
	}
	l.found.add(m.place, what)
	return nil
}

// checkMembers compares two members, and reports whether it found something.
func (l *loader) checkMembers(at place, b, other *vrrpBlock) bool {
	if l.nodesUnknown {
		return false
	}
	nodes := l.nodeNames()
	for _, node := range nodes {
		if (b.Priorities.For(node) == 0) != (other.Priorities.For(node) == 0) {
			with, without := b, other
			if b.Priorities.For(node) == 0 {
				with, without = other, b
			}
			l.found.add(at, problem{
				message: fmt.Sprintf("%s has a priority in vrrp %q but none in vrrp %q", node, with.VRRP.Name, without.VRRP.Name),
				legal:   "members with the same nodes",
			})
			return true
		}
	}
	leader := slices.MinFunc([]*vrrpBlock{b, other}, func(x, y *vrrpBlock) int { return strings.Compare(x.VRRP.Name, y.VRRP.Name) })
	for i, x := range nodes {
		for _, y := range nodes[i+1:] {
			if order(b, x, y) != order(other, x, y) {
				l.found.warn(at, problem{message: fmt.Sprintf(
					"%s and %s are in another order than in vrrp %q: vrrp %q decides between them", x, y, other.VRRP.Name, leader.VRRP.Name)})
				return true
			}
		}
	}
	if b.VRRP.Preempt != other.VRRP.Preempt {
		l.found.warn(at, problem{message: fmt.Sprintf("preempt is another than in vrrp %q: the group preempts only if all members do", other.VRRP.Name)})
		return true
	}
	return false
}

// order is the sign of the difference of two nodes' priorities.
func order(b *vrrpBlock, x, y string) int {
	p, q := b.Priorities.For(x), b.Priorities.For(y)
	switch {
	case p < q:
		return -1
	case p > q:
		return 1
	}
	return 0
}

func (c *Config) canonicalGroups() []canonicalGroup {
	var all []canonicalGroup
	for _, g := range c.SyncGroups {
		all = append(all, canonicalGroup{Name: g.Name, Members: slices.Sorted(slices.Values(g.Members)), Track: canonicalTrack(g.Track), Notify: canonicalNotify(g.Notify)})
	}
	slices.SortFunc(all, func(a, b canonicalGroup) int { return strings.Compare(a.Name, b.Name) })
	return all
}
