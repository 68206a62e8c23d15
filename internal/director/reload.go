package director

import (
	"context"
	"errors"
	"fmt"
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
	next, loadErr := d.Load()
	var live ipvsctl.LiveTable
	if loadErr == nil && len(next.Services) > 0 {
		// The kernel may lack ip_vs, which earlier configurations did not need.
		bounded, cancel := context.WithTimeout(ctx, kernelBound)
		live, loadErr = d.Host.Table(bounded)
		cancel()
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
	old := d.effective()
	d.retire(d.config, next)
	d.config, d.loaded = next, result.At
	d.web.set(next.API.Listen)
	d.keepInForce()
	d.setLeaving(append(d.leaving, departures(d.table, old, d.effective(), d.roles, result.At)...))
	result.Changes = append(result.Changes, d.dropOverrides()...)
	d.listenForClaims()
	d.adoptPool(live)
	d.told = false // what it gets has the standings in it
	d.stand(result.At)
	d.configureSpeaker(nil)
	d.configureChecker()
	d.Log.Info("configuration reloaded", "changes", len(result.Changes))
	generation := d.update()
	d.configureNotifier(old)
	return result, generation
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
