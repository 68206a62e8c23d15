package director

import (
	"cmp"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
)

// judged fills in what the checks say of a real server. It stays unchecked where
// there are none.
func (v *view) judged(out *control.RealStatus, s config.Service, targets []healthcheck.Target) {
	if len(targets) == 0 {
		return
	}
	verdict := judge(s, targets, v.health)
	out.Health = string(cmp.Or(verdict.Status, healthcheck.Unknown))
	out.HealthSince, out.Reason, out.Detail = verdict.Since, string(verdict.Reason), verdict.Detail
	out.Warning = verdict.Warning
	if !verdict.Checked.IsZero() {
		age := control.Since(verdict.Checked, v.now)
		out.Checked = &age
	}
	for _, t := range targets {
		check := v.check(t)
		out.Checks = append(out.Checks, check)
		out.Stale = out.Stale || check.Stale
	}
}

func (v *view) check(t healthcheck.Target) control.CheckStatus {
	verdict := v.health[t.ID]
	out := control.CheckStatus{
		Target: t.ID, Health: string(cmp.Or(verdict.Status, healthcheck.Unknown)), Since: verdict.Since,
		Reason: string(verdict.Reason), Detail: verdict.Detail, Duration: control.Of(verdict.Duration),
		Warning: verdict.Warning, Rising: verdict.Rising, Falling: verdict.Falling,
	}
	if !verdict.Checked.IsZero() {
		age := control.Since(verdict.Checked, v.now)
		out.Checked = &age
	}
	if rise := verdict.Flaps.Rise(v.now, t.Rise); t.Damping && rise > t.Rise {
		out.Flapping = rise
	}
	if verdict.Share.Asked {
		out.Share = &verdict.Share.Percent
	}
	out.Stale = verdict.Status != "" && (verdict.Known || verdict.Checked.IsZero() || v.now.Sub(verdict.Checked) > staleAfter(t))
	return out
}

// staleAfter is how old a verdict may get while its checks go on.
func staleAfter(t healthcheck.Target) time.Duration {
	return 2*max(t.Every, t.EveryDoubt, t.EveryDown, t.EverySteady) + t.Timeout + 2*time.Second
}
