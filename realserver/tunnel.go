package realserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"

	"github.com/haldir-lb/haldir/internal/netif"

	"github.com/haldir-lb/haldir/internal/statefile"
)

// tunnelUndo is what is on disk while tunnels are up on our behalf.
type tunnelUndo struct {
	Version int `json:"version"`
	// Boot identifies the run of the kernel: a reboot has undone everything.
	Boot   string         `json:"boot"`
	Before []raisedTunnel `json:"before"`
	// Ports are those at which nothing was received before.
	Ports []netip.AddrPort `json:"ports,omitempty"`
}

// raisedTunnel is one that was brought up.
type raisedTunnel struct {
	netif.Tunnel       // as it was before
	Ours         []int `json:"ours,omitempty"` // the MTUs that we gave it
}

const tunnelUndoVersion = 2

// raiseTunnels brings the tunnels up, after it wrote down how they were.
func (r *Runner) raiseTunnels(ctx context.Context, state State) error {
	if len(state.Tunnels)+len(state.Ports) == 0 {
		return nil
	}
	undo, err := r.loadTunnels()
	if err != nil {
		return err
	}
	changed, err := r.noteTunnels(ctx, &undo, state)
	if err != nil {
		return err
	}
	if changed {
		if err := r.saveTunnels(undo); err != nil {
			return err
		}
	}
	for _, p := range state.Ports {
		if err := r.Kernel.AddGUEPort(ctx, p.At); err != nil {
			return err
		}
	}
	for _, t := range state.Tunnels {
		if err := r.Kernel.EnsureTunnel(ctx, t.Name, t.MTU); err != nil {
			return err
		}
	}
	return nil
}

// noteTunnels enters how things are into undo, and reports whether that is news.
// What was written down first stays what to go back to.
func (r *Runner) noteTunnels(ctx context.Context, undo *tunnelUndo, state State) (changed bool, err error) {
	for _, t := range state.Tunnels {
		i := slices.IndexFunc(undo.Before, func(b raisedTunnel) bool { return b.Name == t.Name })
		if i < 0 {
			now, err := r.Kernel.ReadTunnel(ctx, t.Name)
			if err != nil {
				return false, err
			}
			i = len(undo.Before)
			undo.Before, changed = append(undo.Before, raisedTunnel{Tunnel: now}), true
		}
		if ours := &undo.Before[i].Ours; t.MTU != 0 && !slices.Contains(*ours, t.MTU) {
			*ours, changed = append(*ours, t.MTU), true
		}
	}
	if len(state.Ports) == 0 {
		return changed, nil
	}
	open, err := r.Kernel.GUEPorts(ctx)
	if err != nil {
		return false, err
	}
	for _, p := range state.Ports {
		if !slices.Contains(undo.Ports, p.At) && !slices.Contains(open, p.At) {
			undo.Ports, changed = append(undo.Ports, p.At), true
		}
	}
	return changed, nil
}

// restoreTunnels brings back to how they were the tunnels that state has no need
// of. One that carries addresses of somebody else by now stays, and is an error.
func (r *Runner) restoreTunnels(ctx context.Context, state State) error {
	undo, err := r.loadTunnels()
	if err != nil || len(undo.Before)+len(undo.Ports) == 0 {
		return err
	}
	present, err := r.Kernel.ReadAddresses(ctx)
	if err != nil {
		return err
	}
	var kept tunnelUndo
	for _, before := range slices.Backward(undo.Before) {
		if slices.ContainsFunc(state.Tunnels, func(t TunnelState) bool { return t.Name == before.Name }) {
			kept.Before = append(kept.Before, before)
			continue
		}
		if err := r.restoreTunnel(ctx, before, present); err != nil {
			return err
		}
	}
	for _, port := range undo.Ports {
		if slices.ContainsFunc(state.Ports, func(p Port) bool { return p.At == port }) {
			kept.Ports = append(kept.Ports, port)
			continue
		}
		if err := r.Kernel.RemoveGUEPort(ctx, port); err != nil {
			return err
		}
	}
	switch {
	case len(kept.Before)+len(kept.Ports) == 0:
		return statefile.Remove(r.file(tunnelRecord))
	case len(kept.Before) == len(undo.Before) && len(kept.Ports) == len(undo.Ports):
		return nil
	}
	kept.Version, kept.Boot = undo.Version, undo.Boot
	slices.Reverse(kept.Before)
	return r.saveTunnels(kept)
}

func (r *Runner) restoreTunnel(ctx context.Context, before raisedTunnel, present []netif.PresentAddress) error {
	for _, p := range present {
		if !before.Up && p.Interface == before.Name && !netif.ByKernel(p.Address) {
			return fmt.Errorf("setting %s down: it has %s, which haldir did not put there "+
				"(remedy: ip address del %s dev %s, or leave it as it is)", before.Name, p.Prefix, p.Prefix, before.Name)
		}
	}
	if err := r.Kernel.RestoreTunnel(ctx, before.Tunnel, before.Ours...); err != nil {
		return err
	}
	r.Log.Info("tunnel restored", "interface", before.Name)
	return nil
}

func (r *Runner) loadTunnels() (tunnelUndo, error) {
	boot, err := r.Kernel.ReadSysctl("kernel/random/boot_id")
	if err != nil {
		return tunnelUndo{}, err
	}
	empty := tunnelUndo{Version: tunnelUndoVersion, Boot: boot}
	name := r.file(tunnelRecord)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return tunnelUndo{}, fmt.Errorf("reading the undo record: %w", err)
	}
	var undo tunnelUndo
	err = json.Unmarshal(data, &undo)
	if err == nil && undo.Version != tunnelUndoVersion {
		err = fmt.Errorf("its version is %d, not %d", undo.Version, tunnelUndoVersion)
	}
	if err != nil {
		return tunnelUndo{}, fmt.Errorf("the undo record %s is damaged, so how the tunnels were before is not known "+
			"(remedy: look at them with ip link, then delete it): %w", name, err)
	}
	if undo.Boot != boot {
		return empty, nil
	}
	return undo, nil
}

func (r *Runner) saveTunnels(undo tunnelUndo) error {
	data, err := json.MarshalIndent(undo, "", "\t")
	if err == nil {
		err = statefile.Replace(r.file(tunnelRecord), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing the undo record %s, without which nothing is changed (remedy: make room in %s, and let root write there): %w",
			r.file(tunnelRecord), r.StateDir, err)
	}
	return nil
}
