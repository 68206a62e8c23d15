package director

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/vrrp"
)

// stateBound is how long the start waits for the disk of the state folder.
const stateBound = 2 * time.Second

// maintenancePath is the file that is there while this node is in maintenance.
func maintenancePath(stateDir string) string { return filepath.Join(stateDir, "maintenance.json") }

// recallMaintenance reads what was switched on before a restart. The file's being
// there is what counts, so that an empty one made by hand does it too. If the disk
// does not tell, this node takes part: a pair must not lose its last master to a
// slow disk.
func (d *Director) recallMaintenance() {
	type answer struct {
		found *control.Maintenance
		err   error
	}
	read := make(chan answer, 1)
	go func() {
		found, err := readMaintenance(maintenancePath(d.StateDir))
		read <- answer{found, err}
	}()
	bound := time.NewTimer(stateBound)
	defer bound.Stop()
	var err error
	select {
	case a := <-read:
		d.maintenance, err = a.found, a.err
	case <-bound.C:
		err = fmt.Errorf("%s cannot be read: the disk does not answer", maintenancePath(d.StateDir))
	}
	if err != nil {
		d.maintenanceProblem = err.Error()
		d.Log.Error("finding out whether this node is in maintenance", "error", err)
	}
	if d.maintenance != nil {
		d.Log.Warn("in maintenance: this node does not become master", "since", d.maintenance.Since, "by", d.maintenance.By.String(), "reason", d.maintenance.Reason)
	}
}

func readMaintenance(path string) (*control.Maintenance, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := control.Maintenance{Since: info.ModTime()}
	if info.Size() > 0 {
		err = statefile.Load(path, &m)
	}
	return &m, err
}

// Maintenance implements control.Backend.
func (d *Director) Maintenance(ctx context.Context, request control.MaintenanceRequest) (control.MaintenanceResult, error) {
	if len(request.Reason) > control.MaxReason {
		return control.MaintenanceResult{}, fmt.Errorf("%w: the reason has %d octets, more than %d", control.ErrInvalid, len(request.Reason), control.MaxReason)
	}
	done, err := d.exclusively(ctx)
	if err != nil {
		return control.MaintenanceResult{}, err
	}
	defer done()
	if request.On {
		return d.maintenanceOn(ctx, request)
	}
	return d.maintenanceOff(ctx)
}

// maintenanceOn writes down what is asked, hands over, and then sees to it that no
// router takes part.
func (d *Director) maintenanceOn(ctx context.Context, request control.MaintenanceRequest) (control.MaintenanceResult, error) {
	var result control.MaintenanceResult
	var before *control.Maintenance
	var masters []config.VRRP
	err := d.ask(ctx, func() error {
		before = d.maintenance
		if before == nil && !request.Force {
			masters, result.Refused, _ = d.toHandOver(nil)
			if len(masters) == 0 && !d.masterOfSome() {
				result.Refused = ""
			}
		}
		return nil
	})
	if err != nil || result.Refused != "" {
		return result, err
	}
	path := maintenancePath(d.StateDir)
	next := &control.Maintenance{Since: time.Now(), By: control.CallerOf(ctx), Reason: request.Reason}
	if before != nil {
		next.Since = before.Since // it goes on, for another reason
	}
	if err := statefile.Save(path, next); err != nil {
		return result, fmt.Errorf("nothing was changed: %w", err)
	}
	undo := func() error {
		if before != nil {
			return statefile.Save(path, before)
		}
		return statefile.Remove(path)
	}
	if len(masters) > 0 {
		if result.Handovers, err = d.handOver(ctx, masters); err != nil {
			return result, errors.Join(err, undo())
		}
		if !handedOver(result.Handovers) {
			result.Refused = "this node is still needed"
			return result, undo()
		}
	}
	if err := d.setMaintenance(ctx, next); err != nil {
		return result, err
	}
	result.Maintenance = next
	return result, d.awaitMaintenance(ctx, &result)
}

// masterOfSome reports whether this node is master of any router.
func (d *Director) masterOfSome() bool {
	for _, v := range d.config.Routers() {
		if d.roles[v.Name].State == vrrp.Master {
			return true
		}
	}
	return false
}

// setMaintenance puts it in force, or ends it with nil.
func (d *Director) setMaintenance(ctx context.Context, m *control.Maintenance) error {
	return d.ask(ctx, func() error {
		d.maintenance, d.maintenanceProblem = m, ""
		d.configureSpeaker(nil)
		e := journal.Event{Kind: journal.KindOperator, Subject: "maintenance", To: "off", By: control.CallerOf(ctx).String()}
		if m != nil {
			e.To, e.Detail = "on", m.Reason
		}
		d.happened(e)
		d.Log.Warn("maintenance", "on", m != nil, "by", control.CallerOf(ctx).String())
		return nil
	})
}

// awaitMaintenance waits until no router takes part, and reads back that it is so.
func (d *Director) awaitMaintenance(ctx context.Context, result *control.MaintenanceResult) error {
	bounded, cancel := context.WithTimeout(ctx, control.HandoverBound-operationSlack)
	defer cancel()
	_, generation, err := d.awaitRoles(bounded, func(roles map[string]Role) bool {
		for _, r := range roles {
			if r.State != vrrp.Init || r.Yielding {
				return false
			}
		}
		return true
	})
	if err == nil {
		_, err = d.applier.wait(bounded, generation)
	}
	if err != nil {
		return fmt.Errorf("in maintenance from now on, but waiting until no virtual router takes part: %w", err)
	}
	state, err := d.askSpeaker(ctx)
	if err != nil {
		return fmt.Errorf("reading back the maintenance: %w", err)
	}
	result.Done = true
	for _, r := range state.Routers {
		result.Done = result.Done && r.State == vrrp.Init && r.Ineligible != ""
	}
	return nil
}

func (d *Director) maintenanceOff(ctx context.Context) (control.MaintenanceResult, error) {
	var result control.MaintenanceResult
	if err := statefile.Remove(maintenancePath(d.StateDir)); err != nil {
		return result, fmt.Errorf("nothing was changed: %w", err)
	}
	if err := d.setMaintenance(ctx, nil); err != nil {
		return result, err
	}
	state, err := d.askSpeaker(ctx)
	if err != nil {
		return result, fmt.Errorf("reading back the end of the maintenance: %w", err)
	}
	result.Done = true
	for _, r := range state.Routers {
		result.Done = result.Done && r.Ineligible != vrrp.ReasonMaintenance
	}
	return result, nil
}
