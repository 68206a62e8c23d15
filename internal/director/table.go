package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/ipvsctl"
)

const (
	// driftEvery is how often the fingerprint of the IPVS table is looked at; it
	// takes a small part of the time of a whole comparison.
	driftEvery = time.Second
	// driftShare bounds what looking costs: at most one part in so many of the time.
	driftShare = 50
	// driftShown is how many changes a status shows.
	driftShown = 10
)

// Drift is a change of the IPVS table that somebody else made, and that was undone.
type Drift struct {
	At    time.Time // zero: there was none since the start
	Times int       // since the start
	// Repairs are the operations that undid it, the first ones; Operations is how
	// many there were.
	Repairs    []string
	Operations int
}

// inForce is what the applier has brought about last, so that the next work
// touches what is different alone. It is no memory of the kernel's table: that
// is read before each change, and as a whole by each sweep.
type inForce struct {
	valid       bool // the application succeeded
	table       ipvsctl.Table
	configured  map[ipvsctl.ServiceKey]bool
	untouched   map[ipvsctl.ServiceKey]bool
	foreign     []ipvsctl.ServiceKey
	swept       time.Time // when the whole table was compared
	fingerprint uint64    // of the kernel's table afterwards; 0 is unknown
}

// setTable has the table made as desired: all of it, or what differs from what is
// in force.
func (a *applier) setTable(ctx context.Context, w work) (ipvsctl.Result, error) {
	recorded := a.record.services()
	if len(w.configured) == 0 && len(recorded) == 0 {
		a.inForce = inForce{swept: time.Now()}
		return ipvsctl.Result{}, nil // no services: ip_vs need not even be there
	}
	// It is for a later process: servers follow their health without it too.
	unrecorded := a.record.add(w.configured)
	owned := func(key ipvsctl.ServiceKey) bool {
		return (w.configured[key] || recorded[key]) && !w.desired.Untouched[key]
	}
	before := a.inForce
	a.inForce = inForce{table: w.desired.Table, configured: w.configured, untouched: w.desired.Untouched}
	result, err := a.bringAbout(ctx, w, before, owned)
	result.Foreign = slices.DeleteFunc(result.Foreign, func(key ipvsctl.ServiceKey) bool { return w.desired.Untouched[key] })
	if err == nil && unrecorded == nil && len(result.Failed) == 0 {
		err = a.record.keep(w.configured)
	}
	a.inForce.foreign = result.Foreign
	a.inForce.valid = err == nil && unrecorded == nil && len(result.Failed) == 0
	return result, errors.Join(unrecorded, err)
}

func (a *applier) bringAbout(ctx context.Context, w work, before inForce, owned func(ipvsctl.ServiceKey) bool) (ipvsctl.Result, error) {
	if a.sweep || !before.valid || !maps.Equal(before.configured, w.configured) || !maps.Equal(before.untouched, w.desired.Untouched) {
		a.inForce.swept = time.Now()
		defer func() { a.sweeping = time.Since(a.inForce.swept) }()
		return a.host.SetTable(ctx, w.desired.Table, owned)
	}
	a.inForce.swept, a.inForce.fingerprint = before.swept, before.fingerprint
	keys := ipvsctl.Changed(before.table, w.desired.Table)
	if len(keys) == 0 {
		return ipvsctl.Result{Foreign: before.foreign}, nil
	}
	a.inForce.fingerprint = 0
	result, err := a.host.SetServices(ctx, w.desired.Table, keys, owned)
	result.Foreign = before.foreign
	return result, err
}

// drifted takes note of what a sweep had to undo although nothing else was desired
// than before.
func (a *applier) drifted(now time.Time, result ipvsctl.Result) {
	if len(result.Ops) == 0 {
		return
	}
	a.drift = Drift{At: now, Times: a.drift.Times + 1, Operations: len(result.Ops)}
	for _, op := range result.Ops[:min(driftShown, len(result.Ops))] {
		a.drift.Repairs = append(a.drift.Repairs, op.String())
	}
	a.happened(journal.Event{
		At: now, Kind: journal.KindDrift, Subject: "ipvs", To: "undone", Detail: fmt.Sprintf("%d operations, the first %s", len(result.Ops), result.Ops[0]),
	})
	a.log.Warn("another program had changed the IPVS table; it is as desired again",
		"operations", len(result.Ops), "first", result.Ops[0].String())
}

// look compares the fingerprint of the table with that after the last application,
// and reports whether somebody has changed it since, and when to look again.
func (a *applier) look(ctx context.Context) (changed bool, again time.Duration) {
	if !a.inForce.valid {
		return false, driftEvery
	}
	began := time.Now()
	now, err := a.host.TableFingerprint(ctx)
	again = max(driftEvery, driftShare*time.Since(began))
	before := a.inForce.fingerprint
	switch {
	case err != nil:
		return true, again // the module is gone, or whatever: the sweep will say
	case before == 0:
		a.inForce.fingerprint = now
		return false, again
	}
	return now != before, again
}

// sweepEvery is the time between two sweeps: a table that takes long to read is
// read more seldom.
func (a *applier) sweepEvery() time.Duration { return max(sweepEvery, driftShare*a.sweeping) }

// keepSysctls has the kernel parameters set that may have changed: by another
// program, or with a module that was loaded again. The loop has set them before,
// where they can be refused.
func (a *applier) keepSysctls(w work) error {
	if !a.sweep && slices.Equal(w.sysctls, a.sysctls) {
		return nil
	}
	err := a.host.SetSysctls(w.sysctls)
	if err == nil {
		a.sysctls = w.sysctls
	}
	return err
}

// status is nil where there was none.
func (d Drift) status(now time.Time) *control.DriftStatus {
	if d.Times == 0 {
		return nil
	}
	return &control.DriftStatus{Age: control.Since(d.At, now), Times: d.Times, Repairs: d.Repairs, Operations: d.Operations}
}
