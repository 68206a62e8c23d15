package director

import (
	"context"
	"path/filepath"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// timeouts are those of connections that the configuration sets.
func timeouts(cfg *config.Config) ipvsctl.Timeouts {
	if len(cfg.Services) == 0 {
		return ipvsctl.Timeouts{}
	}
	return ipvsctl.Timeouts(cfg.Timeouts)
}

func timeoutsPath(runDir string) string { return filepath.Join(runDir, "timeouts.json") }

// setTimeouts makes the timeouts of the host the desired ones, and reports what it
// had to set. What they were before lies in the run directory.
func setTimeouts(ctx context.Context, runDir string, host ipvsctl.TimeoutHandle, desired ipvsctl.Timeouts) (ipvsctl.Timeouts, error) {
	path := timeoutsPath(runDir)
	var held ipvsctl.HeldTimeouts
	if err := statefile.Load(path, &held); err != nil {
		return ipvsctl.Timeouts{}, err
	}
	if held == (ipvsctl.HeldTimeouts{}) && desired == (ipvsctl.Timeouts{}) {
		return ipvsctl.Timeouts{}, nil // ip_vs need not even be there
	}
	return ipvsctl.KeepTimeouts(ctx, host, held, desired, func(next ipvsctl.HeldTimeouts) error {
		switch next {
		case held:
			return nil
		case ipvsctl.HeldTimeouts{}:
			held = next
			return statefile.Remove(path)
		}
		held = next
		return statefile.Save(path, next)
	})
}

// keepTimeouts has the timeouts of connections set that may have changed: by
// another program, or with a module that was loaded again.
func (a *applier) keepTimeouts(ctx context.Context, w work) error {
	if !a.sweep && a.timeoutsSet && w.timeouts == a.timeouts {
		return nil
	}
	set, err := setTimeouts(ctx, filepath.Dir(a.record.path), a.host, w.timeouts)
	if set != (ipvsctl.Timeouts{}) {
		a.log.Info("ipvs timeouts", "set", set.String())
	}
	a.timeouts, a.timeoutsSet = w.timeouts, err == nil
	return err
}

// restoreTimeouts gives the timeouts back that were there before.
func restoreTimeouts(ctx context.Context, runDir string, host ipvsctl.TimeoutHandle) error {
	_, err := setTimeouts(ctx, runDir, host, ipvsctl.Timeouts{})
	return err
}
