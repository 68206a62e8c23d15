package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
)

// told is a balancer whose kernel tells connections with an id; 51 is configured.
func told(id uint8) func(*testing.T, string) *ward {
	return func(t *testing.T, mode string) *ward {
		w := balancer(t, mode)
		w.cfg = syncingConfig(t, mode)
		w.kernelDo(func(handle *ipvsnl.Handle) error {
			var errs []error
			for _, role := range []ipvsctl.SyncRole{ipvsctl.SyncMaster, ipvsctl.SyncBackup} {
				d := ipvsctl.SyncDaemon{Role: role, Interface: "eth0", ID: id}
				errs = append(errs, handle.StartSync(t.Context(), d))
				t.Cleanup(func() { w.kernelDo(func(h *ipvsnl.Handle) error { return h.StopSync(context.Background(), d) }) })
			}
			return errors.Join(errs...)
		})
		return w
	}
}

// stateless is a balancer of a stateless service.
func stateless(t *testing.T, mode string) *ward {
	w := balancer(t, mode)
	w.cfg = load(t, "d1", strings.Replace(text(mode), "forward =", "scheduler = \"mh\"\nstateless = true\nforward =", 1))
	return w
}
