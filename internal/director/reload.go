package director

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// reloadBound is how long a client waits for the kernel to follow a reload.
const reloadBound = 20 * time.Second

// Reload implements control.Backend: the configuration is read off the loop,
// and the difference applied on it. One reload is done after the other.
func (d *Director) Reload(ctx context.Context) (control.ReloadResult, error) {
	select {
	case d.reloads <- struct{}{}:
		defer func() { <-d.reloads }()
	case <-ctx.Done():
		return control.ReloadResult{}, fmt.Errorf("waiting for another reload: %w", ctx.Err())
	}
	d.Reloading()
	defer d.Ready()
	var before *config.Config
	if err := d.do(ctx, func() { before = d.config }); err != nil {
		return control.ReloadResult{}, fmt.Errorf("reloading: %w", err)
	}
	next, loadErr := d.Load(before)
	var live ipvsctl.LiveTable
	if loadErr == nil {
		live, loadErr = d.readUnjudged(ctx, before, next)
	}
	var result control.ReloadResult
	var generation uint64
	if err := d.do(ctx, func() { result, generation = d.change(next, live, loadErr) }); err != nil {
		return result, fmt.Errorf("reloading: %w", err)
	}
	d.reloadHappened(result, control.CallerOf(ctx).String())
	if !result.Applied {
		return result, nil
	}
	bounded, cancel := context.WithTimeout(ctx, reloadBound)
	defer cancel()
	outcome, err := d.applier.wait(bounded, generation)
	if err != nil {
		return result, fmt.Errorf("the configuration is in force, but the kernel has not followed yet: %w", err)
	}
	err = outcome.Err()
	if err != nil {
		return result, fmt.Errorf("the configuration is in force, but the kernel has not followed: %w", err)
	}
	return result, nil
}

// change puts a configuration in force, or refuses it, on the loop.
func (d *Director) change(next *config.Config, live ipvsctl.LiveTable, err error) (control.ReloadResult, uint64) {
	result := control.ReloadResult{At: time.Now()}
	if d.stopping {
		err = errors.New("haldir is stopping")
	}
	if err == nil && d.socketOf(next) != d.socketOf(d.config) {
		err = fmt.Errorf("api.socket cannot change while running: restart haldir to move it from %s to %s",
			d.socketOf(d.config), d.socketOf(next))
	}
	if err == nil {
		// The one change to the host that can be refused comes first.
		if err = d.Host.SetSysctls(Sysctls(next)); err != nil {
			err = errors.Join(err, d.Host.SetSysctls(Sysctls(d.config)))
		}
	}
	d.lastReload = &result
	if err != nil {
		result.Errors = errorLines(err)
		d.Log.Error("configuration refused; nothing was changed", "errors", len(result.Errors), "first", result.Errors[0])
		return result, 0
	}
	result.Applied = true
	result.Changes = Changes(d.config, next)
	before, old := d.config, d.effective()
	d.retire(before, next)
	d.config, d.loaded = next, result.At
	d.web.set(next.API.Listen)
	d.setLeaving(append(d.leaving, departures(d.table, old, d.effective(), d.roles, result.At)...))
	result.Changes = append(result.Changes, d.dropOverrides()...)
	d.listenForClaims()
	if _, now := config.Different(before, next); len(live) > 0 {
		d.adoptPool(live, now)
	}
	// The kernel comes first; what others are told of a configuration that is the
	// same to them is not told again.
	if !sameRouters(before, next) || len(d.retired) > 0 {
		d.told = false // what it gets has the standings in it
		d.stand(result.At)
		d.configureSpeaker(nil)
	}
	probes := d.probes
	if !sameProbes(before, next) || old != before || d.effective() != next {
		d.takeProbes()
	}
	generation := d.update()
	if d.probes != probes {
		d.tellChecker()
	}
	d.keepInForce()
	d.configureNotifier(old)
	d.Log.Info("configuration reloaded", "changes", len(result.Changes))
	return result, generation
}

// readUnjudged reads what the kernel has of the services whose real servers may have
// no judgement yet under the next configuration.
func (d *Director) readUnjudged(ctx context.Context, before, next *config.Config) (ipvsctl.LiveTable, error) {
	bounded, cancel := context.WithTimeout(ctx, kernelBound)
	defer cancel()
	if len(before.Services) == 0 && len(next.Services) > 0 {
		// The kernel may lack ip_vs, which was not needed until now.
		return d.Host.Table(bounded)
	}
	if sameProbes(before, next) {
		return nil, nil
	}
	var keys []ipvsctl.ServiceKey
	_, now := config.Different(before, next)
	for _, s := range now {
		keys = append(keys, serviceKeys(s)...)
	}
	if 2*len(keys) > len(next.Services) {
		return d.Host.Table(bounded)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return d.Host.Services(bounded, keys)
}

// sameRouters reports whether two configurations are the same to the speaker.
func sameRouters(a, b *config.Config) bool {
	return reflect.DeepEqual(a.VRRP, b.VRRP) && reflect.DeepEqual(a.SyncGroups, b.SyncGroups)
}

// errorLines returns one line for each error of a configuration.
func errorLines(err error) []string {
	var diagnostics config.Diagnostics
	if errors.As(err, &diagnostics) {
		lines := make([]string, len(diagnostics))
		for i, diagnostic := range diagnostics {
			lines[i] = diagnostic.Error()
		}
		return lines
	}
	return []string{err.Error()}
}
