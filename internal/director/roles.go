package director

import (
	"slices"
	"time"

	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/internal/speaker"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/internal/track"
	"github.com/haldir-lb/haldir/vrrp"
)

// adopt takes over what a speaker that was already at work says of its routers.
func (d *Director) adopt(s speaker.State) {
	if !s.Configured {
		return
	}
	standings := make(map[string]track.Standing)
	for _, r := range s.Routers {
		before := d.roles[r.Name]
		role := Role{State: r.State, Master: r.Master, Since: r.Since, Epoch: r.Since, Reason: r.Reason, Interval: r.Interval, Ceded: r.Ceded, Displaced: r.Displaced}
		if r.Heard != nil && r.State == vrrp.Backup {
			role.Interval = r.Heard.Interval
		}
		role.Decided = before.Decided || decides(r.State, r.Master, r.Reason)
		d.roles[r.Name] = role
		d.rivalOf(r.Name)
		standings[r.Name] = track.Standing{Priority: r.Priority, Eligible: r.Ineligible != vrrp.ReasonTracker && r.Ineligible != vrrp.ReasonWaiting}
	}
	d.standings = standings // a status may still read the earlier ones
}

// resume says, for a speaker that follows one that died, where to go on.
func (d *Director) resume(hello process.Hello) map[string]vrrp.Resume {
	d.dropLeavers()
	resume := make(map[string]vrrp.Resume)
	for name, role := range d.roles {
		resume[name] = vrrp.Resume{
			State: role.State, Since: role.Since, Master: role.Master, MasterInterval: role.Interval,
			Silent: hello.Down, Ceded: role.Ceded, Displaced: role.Displaced,
		}
	}
	return resume
}

// configureSpeaker tells the speaker what to run. The will is written first, so
// that no address is ever held without one.
func (d *Director) configureSpeaker(resume map[string]vrrp.Resume) {
	d.told = true
	routers := d.routers()
	if err := statefile.Save(willPath(d.RunDir), will{Routers: routers}); err != nil {
		d.Log.Error("writing down what is to be done after a crash of the node", "error", err)
	}
	c := speaker.Configure{Routers: routers, Resume: resume}
	for _, r := range routers {
		up, known := d.carrier[r.Interface]
		switch {
		case up:
			// It may have come up while no router was on it.
			d.tellLink(r.Interface, true)
		case (known || d.synced) && !slices.Contains(c.Down, r.Interface):
			c.Down = append(c.Down, r.Interface)
		}
	}
	d.send(d.Speaker, speaker.KindConfigure, "", c)
}

// stopRoles is what remains of the roles once the node has handed over.
func (d *Director) stopRoles() {
	for name := range d.roles {
		d.roles[name] = Role{State: vrrp.Init, Reason: vrrp.ReasonShutdown, Since: time.Now(), Decided: true}
	}
	for _, v := range d.config.Routers() {
		d.roles[v.Name] = Role{State: vrrp.Init, Reason: vrrp.ReasonShutdown, Since: time.Now(), Decided: true}
	}
}

// decideEvery is how often undecided roles are looked at.
const decideEvery = time.Second

// undecided reports whether it is open who the master of some router is.
func (d *Director) undecided() bool {
	for _, r := range d.index().own {
		if role, known := d.roles[r.Name]; known && role.State == vrrp.Backup && !role.Decided {
			return true
		}
	}
	return false
}

// decide settles the roles of backups that have stayed so for longer than they
// wait for a master: there is one.
func (d *Director) decide(now time.Time) {
	changed := false
	for _, r := range d.index().own {
		role, known := d.roles[r.Name]
		if !known || role.State != vrrp.Backup || role.Decided {
			continue
		}
		if now.Sub(role.Since) > r.MasterDownInterval(max(r.Interval, role.Interval))+decideEvery {
			role.Decided = true
			d.roles[r.Name] = role
			changed = true
		}
	}
	if changed {
		d.update()
	}
}
