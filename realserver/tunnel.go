package realserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	Before []netif.Tunnel `json:"before"`
}

const tunnelUndoVersion = 1

// raiseTunnels brings the tunnels up, after it wrote down how they were.
func (r *Runner) raiseTunnels(ctx context.Context, tunnels []TunnelState) error {
	if len(tunnels) == 0 {
		return nil
	}
	undo, err := r.loadTunnels()
	if err != nil {
		return err
	}
	known := len(undo.Before)
	for _, t := range tunnels {
		// What was written down first stays what to go back to.
		if slices.ContainsFunc(undo.Before, func(b netif.Tunnel) bool { return b.Name == t.Name }) {
			continue
		}
		now, err := r.Kernel.ReadTunnel(ctx, t.Name)
		if err != nil {
			return err
		}
		undo.Before = append(undo.Before, now)
	}
	if len(undo.Before) > known {
		if err := r.saveTunnels(undo); err != nil {
			return err
		}
	}
	for _, t := range tunnels {
		if err := r.Kernel.EnsureIPIP(ctx, t.Name); err != nil {
			return err
		}
	}
	return nil
}

// restoreTunnels brings the tunnels back to how they were. One that carries
// addresses of somebody else by now stays, and is an error.
func (r *Runner) restoreTunnels(ctx context.Context) error {
	undo, err := r.loadTunnels()
	if err != nil || len(undo.Before) == 0 {
		return err
	}
	present, err := r.Kernel.ReadAddresses(ctx)
	if err != nil {
		return err
	}
	for _, before := range undo.Before {
		if before.Up {
			continue
		}
		for _, p := range present {
			if p.Interface == before.Name && !p.Prefix.Addr().IsLinkLocalUnicast() {
				return fmt.Errorf("setting %s down: it has %s, which haldir did not put there "+
					"(remedy: ip address del %s dev %s, or leave it as it is)", before.Name, p.Prefix, p.Prefix, before.Name)
			}
		}
		if err := r.Kernel.RestoreIPIP(ctx, before); err != nil {
			return err
		}
		r.Log.Info("tunnel restored", "interface", before.Name)
	}
	return statefile.Remove(r.file(tunnelRecord))
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
		return fmt.Errorf("writing the undo record: %w", err)
	}
	return nil
}
