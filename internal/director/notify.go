package director

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/notify"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/vrrp"
)

const (
	// settleBound is how long a notification waits for the kernel to be as the new
	// role wants it.
	settleBound = 5 * time.Second
	// notifyBound is how long a stop waits for the last notifications.
	notifyBound = 10 * time.Second
	// stopBudget is less than what the supervisor gives a director to stop.
	stopBudget = 130 * time.Second
)

// toldState is what a role means to whoever is told of it; false: nothing.
func toldState(role Role) (notify.State, bool) {
	switch role.State {
	case vrrp.Master:
		return notify.Master, true
	case vrrp.Backup:
		return notify.Backup, true
	}
	switch role.Reason {
	case vrrp.ReasonShutdown, vrrp.ReasonRemoved, vrrp.ReasonMaintenance:
		return notify.Stop, true
	// Not begun yet, or the end of a hand-over, whose beginning was told.
	case "", vrrp.ReasonStart, vrrp.ReasonWaiting, vrrp.ReasonHandover, vrrp.ReasonResumed, vrrp.ReasonSuccessor, vrrp.ReasonHandoverTimeout:
		return "", false
	}
	return notify.Fault, true
}

// groupState is what the roles of its routers make of a block or a group; false:
// nothing, or not yet.
func groupState(members []Role) (notify.State, bool) {
	var all []notify.State
	for _, role := range members {
		state, known := toldState(role)
		if !known {
			return "", false
		}
		all = append(all, state)
	}
	// What keeps one out keeps all out.
	for _, state := range []notify.State{notify.Fault, notify.Stop} {
		if slices.Contains(all, state) {
			return state, true
		}
	}
	if len(slices.Compact(slices.Clone(all))) != 1 { // none, or different ones
		return "", false // the others follow
	}
	return all[0], true
}

// notifyHooks derives who is told what on this node.
func notifyHooks(c *config.Config) map[notify.Subject]notify.Hooks {
	out := make(map[notify.Subject]notify.Hooks)
	add := func(s notify.Subject, n *config.Notify) {
		if n == nil {
			return
		}
		hooks := make(notify.Hooks)
		for _, state := range []notify.State{notify.Master, notify.Backup, notify.Fault, notify.Stop} {
			for _, key := range []string{string(state), "any"} {
				if on, ok := n.On[key]; ok {
					hooks[state] = append(hooks[state], notify.Hook{
						Command: on.Command, Words: key == "any", User: n.User, URL: string(on.URL), Timeout: n.Timeout,
					})
				}
			}
		}
		out[s] = hooks
	}
	own := make(map[string]bool)
	for _, v := range c.VRRP {
		if v.Priority != 0 {
			own[v.Name] = true
			add(notify.Subject{Name: v.Name}, v.Notify)
		}
	}
	for _, g := range c.SyncGroups {
		if own[g.Members[0]] {
			add(notify.Subject{Group: true, Name: g.Name}, g.Notify)
		}
	}
	return out
}

// openNotifier begins with what an earlier director told.
func (d *Director) openNotifier() {
	d.notifier = notify.New(notify.Options{Path: d.toldPath(), Run: d.RunProgram, Post: notify.Post, Log: d.Log})
}

// toldPath is where is kept what was told.
func (d *Director) toldPath() string { return filepath.Join(d.RunDir, "notify.json") }

// configureNotifier has everybody told who is to be told now. What is not in the
// configuration any more has stopped.
func (d *Director) configureNotifier(old *config.Config) {
	if old != nil {
		for _, v := range old.VRRP {
			if !slices.ContainsFunc(d.config.VRRP, func(next config.VRRP) bool { return next.Name == v.Name }) {
				d.tell(gone(notify.Subject{Name: v.Name}), 0)
			}
		}
		for _, g := range old.SyncGroups {
			if !slices.ContainsFunc(d.config.SyncGroups, func(next config.SyncGroup) bool { return next.Name == g.Name }) {
				d.tell(gone(notify.Subject{Group: true, Name: g.Name}), 0)
			}
		}
	}
	d.notifier.Set(notifyHooks(d.config))
	for _, v := range d.config.Routers() {
		d.tellRole(v.Name, d.roles[v.Name].Reason, d.generation)
	}
}

// tellRole tells what became of a router's block, and of its group, once the kernel
// has followed to a generation.
func (d *Director) tellRole(router string, reason vrrp.Reason, generation uint64) {
	role, standing, block := d.roles[router], d.standings[router], config.Block(router)
	e := notify.Event{Subject: notify.Subject{Name: block}, Reason: string(reason), Detail: standing.Why, At: role.Since}
	if state, ok := groupState(d.rolesOf(block)); ok {
		e.State, e.Priority = state, standing.Priority
		d.tell(e, generation)
	}
	group := d.config.GroupOf(block)
	if group == nil {
		return
	}
	if state, ok := groupState(d.rolesOf(group.Members...)); ok {
		e.Subject, e.State, e.Priority = notify.Subject{Group: true, Name: group.Name}, state, 0
		d.tell(e, generation)
	}
}

// gone is the event of what is not in the configuration any more.
func gone(s notify.Subject) notify.Event {
	return notify.Event{Subject: s, State: notify.Stop, Reason: string(vrrp.ReasonRemoved), At: time.Now()}
}

// rolesOf returns the roles of all virtual routers of some blocks.
func (d *Director) rolesOf(blocks ...string) []Role {
	var roles []Role
	for _, block := range blocks {
		for _, name := range d.index().byBlock[block] {
			roles = append(roles, d.roles[name])
		}
	}
	return roles
}

// tell completes an event and hands it on.
func (d *Director) tell(e notify.Event, generation uint64) {
	// Those who were told already are not told again.
	if before := d.toldStates[e.Subject]; before != e.State {
		e.Old = before
	}
	d.toldStates[e.Subject], e.Node = e.State, d.config.Node
	var ready func(context.Context)
	// Who stops still has everything: it is told at once.
	if e.State == notify.Master || e.State == notify.Backup {
		ready = func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, settleBound)
			defer cancel()
			_, _ = d.applier.wait(ctx, generation) // what has failed is in the status
		}
	}
	d.notifier.Tell(e, ready)
}

// closeNotifier has the last state delivered within a bound.
func (d *Director) closeNotifier() {
	// Whoever follows one that crashed goes on with what is left.
	bound := time.Duration(0)
	if d.stopping {
		bound = min(notifyBound, stopBudget-handoverBound(Routers(d.config)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), max(bound, 0))
	defer cancel()
	d.notifier.Close(ctx)
	if d.stopping {
		if err := statefile.Remove(d.toldPath()); err != nil {
			d.Log.Warn("removing what was told", "error", err)
		}
	}
}
