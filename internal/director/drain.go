package director

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// drainEvery is how often the connections of servers that drain are counted.
const drainEvery = 500 * time.Millisecond

// reading is what the kernel had of the services with servers that drain.
type reading struct {
	live ipvsctl.LiveTable
	ok   bool // live was read
}

// watchDrains counts connections as long as servers drain. It reads the kernel,
// so it has a goroutine of its own.
func (d *Director) watchDrains(ctx context.Context) {
	timer := time.NewTicker(drainEvery)
	defer timer.Stop()
	problem := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		keys := d.drained.Load()
		if keys == nil || len(*keys) == 0 {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, kernelBound)
		live, err := d.Host.Services(bounded, *keys)
		cancel()
		if err != nil && err.Error() != problem {
			problem = err.Error()
			d.Log.Warn("counting the connections of servers that drain", "error", err)
		}
		// Bounds pass also while nothing can be read.
		select {
		case d.drainNews <- reading{live, err == nil}:
		case <-ctx.Done():
			return
		}
	}
}

// desire computes the desired state. Servers that are not to be in it any more get
// the time to drain.
func (d *Director) desire(effective *config.Config, now time.Time) Desired {
	in := Inputs{
		Config: effective, Roles: d.roles, Health: d.health, Risen: d.risen, Pools: d.pools, Probes: d.probes,
		Overrides: d.overrides, Leaving: d.leaving, Directors: d.peers.directors(now), Now: now,
	}
	desired := Compute(in)
	left := stillLeaving(d.leaving, effective, desired.Pools, d.roles, now)
	fresh := sorryDepartures(effective, d.table, d.pools, desired.Pools, d.roles, now)
	if len(left) < len(d.leaving) || len(fresh) > 0 {
		in.Leaving = append(left, fresh...)
		d.setLeaving(in.Leaving)
		desired = Compute(in)
	}
	watched := d.watched()
	d.drained.Store(&watched)
	return desired
}

// counted ends the drains that are over.
func (d *Director) counted(r reading, now time.Time) {
	next, changed := d.overrides.ended(d.config, r, d.roles, now)
	for i, o := range next {
		if o != d.overrides[i] {
			d.Log.Info("drained", "service", o.Service, "real", o.Real, "connections_left", o.Left, "took", now.Sub(o.At).Round(time.Millisecond))
		}
	}
	if changed {
		d.overrides = next
		d.noteOverrides()
	}
	leaving := d.leaving
	if r.ok {
		leaving = slices.DeleteFunc(slices.Clone(leaving), func(p departure) bool { return p.ended(r.live) })
	}
	over := len(leaving) < len(d.leaving)
	if over {
		d.setLeaving(leaving)
	}
	late := slices.ContainsFunc(leaving, func(p departure) bool { return !now.Before(p.Until) })
	if changed || over || late {
		d.update()
	}
}

// setLeaving replaces the servers that leave. They are written down in the run
// directory: a director that follows a crash lets them drain on.
func (d *Director) setLeaving(leaving []departure) {
	before := len(d.leaving)
	d.leaving = leaving
	if before == 0 && len(leaving) == 0 {
		return
	}
	path := d.leavingPath()
	var err error
	if len(leaving) == 0 {
		err = statefile.Remove(path)
	} else {
		err = statefile.Save(path, leaving)
	}
	if err != nil {
		d.Log.Error("writing down which servers leave", "error", err)
	}
}

func (d *Director) leavingPath() string { return filepath.Join(d.RunDir, "leaving.json") }

// watched are the services with servers that drain.
func (d *Director) watched() []ipvsctl.ServiceKey {
	var keys []ipvsctl.ServiceKey
	add := func(key ipvsctl.ServiceKey) {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for _, p := range d.leaving {
		add(p.Service.Key)
	}
	for _, o := range d.overrides {
		if o.What == control.OverrideDrain && o.Ended.IsZero() {
			if s, _, err := findReal(d.config, o.Service, o.Real); err == nil {
				for _, key := range serviceKeys(s) {
					add(key)
				}
			}
		}
	}
	return keys
}
