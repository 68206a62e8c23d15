package realserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/haldir-lb/haldir/internal/netif"
)

// Runner brings a State about on this host, verifies it, and undoes it.
//
// What it must remember is in StateDir: how sysctls and tunnels were before its
// first change. Which addresses are its own is read from the kernel: those with
// netif's tag on Loopback or a tunnel device.
type Runner struct {
	// StateDir is a directory that does not outlive a reboot, such as /run/haldir.
	// Apply makes it where it is missing.
	StateDir string
	Kernel   Kernel // HostKernel outside tests; never nil
	Log      *slog.Logger
}

// The records in StateDir.
const (
	sysctlRecord = "realserver-sysctls.json"
	tunnelRecord = "realserver-tunnels.json"
)

func (r *Runner) file(name string) string { return filepath.Join(r.StateDir, name) }

// Apply makes this host as state says, and no less or more: what an earlier
// Apply did and state no longer has is undone. It reads everything back before
// it returns nil. It may be repeated at any time, also after a crash half-way.
//
// Where this host was no real server before the call, an address of state that
// is there already and is not ours is a *ForeignAddressError before anything was
// changed, and any other failure undoes what the call did. Otherwise what works
// already stays, and what can be done is done.
func (r *Runner) Apply(ctx context.Context, state State) error {
	if err := r.apply(ctx, state); err != nil {
		return fmt.Errorf("setting up the real server: %w", err)
	}
	return nil
}

func (r *Runner) apply(ctx context.Context, state State) error {
	present, err := r.Kernel.ReadAddresses(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.StateDir, 0o755); err != nil {
		return fmt.Errorf("making the directory for undo records: %w", err)
	}
	fresh, err := r.untouched(ctx, present)
	if err != nil {
		return err
	}
	if err := checkForeign(state, present); err != nil && fresh {
		return err
	}
	if err = r.change(ctx, state); err == nil || !fresh {
		return err
	}
	// The caller's ctx may be the very reason.
	if undo := r.remove(context.WithoutCancel(ctx)); undo != nil {
		return fmt.Errorf("%w; undoing what was done so far: %w", err, undo)
	}
	return err
}

// change does the work of Apply, in an order in which at no time a VIP is there
// and the segment can see it.
func (r *Runner) change(ctx context.Context, state State) error {
	// Without VIPs, the sysctls that hid the earlier ones are about to go.
	if len(state.Addresses) == 0 {
		if err := r.setAddresses(ctx, state); err != nil {
			return err
		}
	}
	if err := r.raiseTunnels(ctx, state); err != nil {
		return err
	}
	if err := r.setSysctls(state); err != nil {
		return err
	}
	if err := r.setSilences(ctx, state, true); err != nil {
		return err
	}
	// Before the VIPs, so that where a redirect follows on a VIP that the host holds
	// nothing is missed.
	if err := r.setRedirects(ctx, state); err != nil {
		return err
	}
	if err := r.setClamps(ctx, state); err != nil {
		return err
	}
	if len(state.Addresses) > 0 {
		if err := r.setAddresses(ctx, state); err != nil {
			return err
		}
	}
	if err := r.setSilences(ctx, state, false); err != nil {
		return err
	}
	if err := r.restoreTunnels(ctx, state); err != nil {
		return err
	}
	return r.readBack(ctx, state)
}

// setSysctls sets what state lists, except where the value found serves as well.
func (r *Runner) setSysctls(state State) error {
	var want []netif.Sysctl
	for _, s := range state.Sysctls {
		now, err := r.Kernel.ReadSysctl(s.Path)
		if err != nil {
			return err
		}
		if s.Also == "" || now != s.Also {
			want = append(want, s.Sysctl)
		}
	}
	changes, err := r.Kernel.ApplySysctls(r.file(sysctlRecord), want)
	for _, c := range changes {
		r.Log.Info("sysctl set", "sysctl", c.Path, "from", c.From, "to", c.Value)
	}
	return err
}

// setAddresses makes our addresses those of state.
func (r *Runner) setAddresses(ctx context.Context, state State) error {
	var desired []netif.Address
	for _, a := range state.Addresses {
		desired = append(desired, a.Address)
	}
	result, err := r.Kernel.ReconcileAddresses(ctx, desired)
	for _, a := range result.Added {
		r.Log.Info("address added", "address", a.Prefix, "interface", a.Interface)
	}
	for _, a := range result.Removed {
		r.Log.Info("address removed", "address", a.Prefix, "interface", a.Interface)
	}
	return errors.Join(err, result.Err())
}

// untouched reports whether nothing of ours is on this host.
func (r *Runner) untouched(ctx context.Context, present []netif.PresentAddress) (bool, error) {
	if slices.ContainsFunc(present, func(p netif.PresentAddress) bool { return p.Ours }) {
		return false, nil
	}
	if there, err := r.anyRules(ctx); there || err != nil {
		return false, err
	}
	for _, name := range []string{sysctlRecord, tunnelRecord} {
		there, err := exists(r.file(name))
		if there || err != nil {
			return false, err
		}
	}
	return true, nil
}

func exists(name string) (bool, error) {
	_, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// readBack fails where an item that Apply is answerable for is not as it should be.
func (r *Runner) readBack(ctx context.Context, state State) error {
	findings, err := r.hostFindings(ctx, state)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range findings {
		if !f.OK {
			errs = append(errs, fmt.Errorf("%s: it should be %s and is %s (remedy: %s)", f.Item, f.Want, f.Got, f.Remedy))
		}
	}
	return errors.Join(errs...)
}

// Remove undoes every Apply, in reverse order: addresses, packet rules, tunnels, sysctls
// back to the values found before. It needs no State. It leaves alone what it did
// not make and what somebody else has changed since, and says so in the log.
// On a host that is no real server it does nothing.
func (r *Runner) Remove(ctx context.Context) error {
	if err := r.remove(ctx); err != nil {
		return fmt.Errorf("undoing the real server: %w", err)
	}
	return nil
}

// remove stops at the first failure: as long as a VIP is there, the sysctls
// that hide it stay.
func (r *Runner) remove(ctx context.Context) error {
	if err := r.setAddresses(ctx, State{}); err != nil {
		return err
	}
	if err := r.setClamps(ctx, State{}); err != nil {
		return err
	}
	if err := r.setRedirects(ctx, State{}); err != nil {
		return err
	}
	if err := r.setSilences(ctx, State{}, false); err != nil {
		return err
	}
	if err := r.restoreTunnels(ctx, State{}); err != nil {
		return err
	}
	result, err := r.Kernel.RestoreSysctls(r.file(sysctlRecord))
	for _, c := range result.Restored {
		r.Log.Info("sysctl restored", "sysctl", c.Path, "from", c.From, "to", c.Value)
	}
	for _, l := range result.Left {
		r.Log.Warn("sysctl left as somebody else set it", "sysctl", l.Path, "value", l.Now, "earlier", l.Earlier)
	}
	return err
}
