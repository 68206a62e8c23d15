package vrrp

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// group is the routers of one SyncGroup as the loop keeps them, the leader first.
type group struct {
	name    string
	routers []*router
	core    *SyncGroup // of the members that have a machine; nil: none has
}

// regroup makes the groups those of the configuration.
func (l *loop) regroup(now time.Time) {
	members := map[string][]*router{}
	for _, name := range slices.Sorted(maps.Keys(l.routers)) {
		if r := l.routers[name]; !r.removing && r.cfg.Group != "" {
			members[r.cfg.Group] = append(members[r.cfg.Group], r)
		}
	}
	changed := map[*router]bool{}
	for _, r := range l.routers {
		if g := r.group; g != nil && !slices.Equal(g.routers, members[r.cfg.Group]) {
			changed[r] = true
		}
	}
	for r := range changed {
		l.ungroup(r)
	}
	for name, routers := range members {
		if old := l.groups[name]; old != nil && slices.Equal(old.routers, routers) {
			continue
		}
		g := &group{name: name, routers: routers}
		l.groups[name] = g
		for _, r := range routers {
			r.group = g
		}
		g.bind()
	}
	// Whoever has left all groups waits for nobody.
	for _, r := range l.routers {
		if r.group == nil && r.machine != nil && r.machine.grouped {
			r.machine.leave(now)
			l.timers.schedule(r)
		}
	}
	// Whoever held a group back may have left it.
	for _, r := range l.routers {
		if r.group != nil && r.machine != nil && r.machine.ready {
			l.move(now, r, Backup)
		}
	}
	maps.DeleteFunc(l.groups, func(name string, _ *group) bool { return len(members[name]) == 0 })
}

// ungroup takes a router out of its group, without any effect on the others.
func (l *loop) ungroup(r *router) {
	g := r.group
	if g == nil {
		return
	}
	r.group = nil
	g.routers = slices.DeleteFunc(slices.Clone(g.routers), func(other *router) bool { return other == r })
	g.bind()
}

// bind makes the core the members' machines.
func (g *group) bind() {
	g.core = nil
	var machines []*Machine
	for _, r := range g.routers {
		if r.machine != nil {
			machines = append(machines, r.machine)
		}
	}
	if len(machines) > 0 {
		g.core = NewSyncGroup(machines...)
	}
}

// able reports whether a router may take part.
func (r *router) able() bool {
	return r.invalid == "" && r.cfg.Ineligible == "" && r.link != nil && r.link.usable
}

// hindered returns the first member that cannot take part, or nil.
func (g *group) hindered() *router {
	i := slices.IndexFunc(g.routers, func(r *router) bool { return !r.able() })
	if i < 0 {
		return nil
	}
	return g.routers[i]
}

// problemOf says what in the group keeps one of its members from its role.
func (g *group) problemOf(r *router) string {
	if other := g.hindered(); other != nil && other != r && r.state() == Init {
		return "waits for " + other.cfg.Name + " of the same group: " + cmp.Or(other.ownProblem(), string(other.cfg.Ineligible), "it cannot run")
	}
	if r.machine != nil && r.machine.ready && g.core != nil && !g.core.rises() {
		return "hears no master, while another member of the group hears one"
	}
	return ""
}

// startGroup starts the members of r's group, if all can take part and the last
// hand-over is done; r for the given reason.
func (l *loop) startGroup(now time.Time, r *router, reason Reason) {
	g := r.group
	for _, m := range g.routers {
		if !m.able() || m.state() == Leaving {
			return
		}
	}
	for _, m := range g.routers {
		l.machineOf(now, m)
	}
	g.bind()
	for _, m := range g.routers {
		switch {
		case m.state() != Init:
		case m == r:
			l.begin(now, m, reason)
		default:
			l.begin(now, m, ReasonGroupFit)
		}
	}
}

// restartGroups starts what waited for the end of a hand-over.
func (l *loop) restartGroups(now time.Time) {
	for _, name := range slices.Sorted(maps.Keys(l.groups)) {
		for _, r := range l.groups[name].routers {
			if r.state() == Init {
				l.startGroup(now, r, ReasonGroupFit)
				break
			}
		}
	}
}

// move tells the group of r that r has moved.
func (l *loop) move(now time.Time, r *router, from State) {
	g := r.group
	for _, move := range g.core.Moves(r.machine, from) {
		for _, other := range g.routers {
			if other.machine == move.Member {
				l.step(now, other, move.Event)
			}
		}
	}
}
