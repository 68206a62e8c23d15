package director

import (
	"fmt"
	"maps"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/notify"
	"github.com/haldir-lb/haldir/internal/track"
)

// trackView is what a status says of trackers and notifications.
type trackView struct {
	standings map[string]track.Standing
	readings  Readings
	since     map[linkKey]time.Time
	reports   map[notify.Subject]notify.Report
}

// viewTracking takes what a status is made of, on the loop.
func (d *Director) viewTracking(now time.Time) trackView {
	r, _ := d.readings(now)
	r.Health, r.Numbers = maps.Clone(r.Health), maps.Clone(r.Numbers)
	v := trackView{standings: d.standings, readings: r, since: make(map[linkKey]time.Time), reports: d.notifier.Reports()}
	for key, link := range d.debounced {
		v.since[key] = link.Since()
	}
	return v
}

// tracking fills in what trackers make of a router, and what was told of it.
func (v *view) tracking(out *control.RouterStatus, r config.VRRP) {
	out.BasePriority = r.Priority
	if r.Priority == 0 {
		return
	}
	out.PriorityReason = v.track.standings[r.Name].Why
	for _, t := range v.config.Trackers(r) {
		out.Trackers = append(out.Trackers, v.tracker(t, r.Priority))
	}
	out.Notified = v.notified(notify.Subject{Name: config.Block(r.Name)})
}

func (v *view) tracker(t config.Tracker, base uint8) control.TrackerStatus {
	f := t.Factor()
	f.Status, f.Number = v.track.readings.read(v.config, t)
	out := control.TrackerStatus{Name: t.Name(), State: f.Status.String(), Weight: t.Weight}
	switch change := f.Change(); {
	case f.Fails():
		out.Effect = "not eligible"
	case change != 0 && base != track.Owner:
		out.Effect = fmt.Sprintf("%+d", change)
	}
	if t.Kind == config.TrackInterface {
		out.Since = v.track.since[linkKeyOf(t)]
	}
	if t.Check == nil {
		return out
	}
	verdict := v.track.readings.Health[t.Target()]
	out.Since, out.Reason, out.Detail, out.Warning = verdict.Since, string(verdict.Reason), verdict.Detail, verdict.Warning
	if !verdict.Checked.IsZero() {
		age := control.Since(verdict.Checked, v.now)
		out.Checked = &age
	}
	target := healthcheck.Target{Every: t.Check.Every, Timeout: t.Check.Timeout}
	out.Stale = verdict.Status != "" && (verdict.Known || verdict.Checked.IsZero() || v.now.Sub(verdict.Checked) > staleAfter(target))
	return out
}

func (v *view) notified(s notify.Subject) *control.NotifyStatus {
	r, ok := v.track.reports[s]
	if !ok {
		return nil
	}
	out := &control.NotifyStatus{State: string(r.State), At: r.At, Problem: r.Problem, Again: r.Again}
	if !r.Running {
		took := control.Of(r.Took)
		out.Took = &took
	}
	return out
}

func (v *view) groups() []control.GroupStatus {
	var out []control.GroupStatus
	for _, g := range v.config.SyncGroups {
		out = append(out, control.GroupStatus{Name: g.Name, Members: g.Members, Notified: v.notified(notify.Subject{Group: true, Name: g.Name})})
	}
	return out
}

// trackingProblems lists what of trackers and notifications is not as it should
// be.
func (v *view) trackingProblems(say func(string, ...any), s *control.Status) {
	told := make(map[string]bool) // of a router for each family one is enough
	for _, r := range s.Routers {
		for _, t := range r.Trackers {
			what := fmt.Sprintf("virtual router %q: %s", r.Name, t.Name)
			switch {
			case t.Effect == "not eligible":
				say("%s is %s: not eligible", what, trackerState(t))
			case t.State == track.Down.String():
				say("%s is down (priority %d instead of %d)", what, r.Priority, r.BasePriority)
			case t.State == track.Unknown.String() && t.Reason != "":
				say("%s is not known to be up: %s, %s", what, t.Reason, t.Detail)
			case t.State == track.Unknown.String():
				say("%s was not checked yet", what)
			case t.Warning:
				say("%s: %s, %s", what, t.Reason, t.Detail)
			case t.Stale:
				say("%s: nothing new is known", what)
			}
		}
		if block := config.Block(r.Name); !told[block] {
			told[block] = true
			notifyProblem(say, fmt.Sprintf("virtual router %q", block), r.Notified)
		}
	}
	for _, g := range s.Groups {
		notifyProblem(say, fmt.Sprintf("sync group %q", g.Name), g.Notified)
	}
}

// trackerState words the state of one that makes a router not eligible.
func trackerState(t control.TrackerStatus) string {
	if t.State == track.Up.String() {
		return t.Detail // the number in a file
	}
	return t.State
}

func notifyProblem(say func(string, ...any), what string, n *control.NotifyStatus) {
	if n != nil && n.Problem != "" {
		say("%s: telling %s: %s", what, n.State, n.Problem)
	}
}
