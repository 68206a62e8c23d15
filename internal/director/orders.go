package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// orderBound is how long an operator waits for the kernel to follow.
const orderBound = 20 * time.Second

// Order implements control.Operator. What was ordered is in force before it is
// written down: a disk that does not answer shall not keep a server in the pool.
func (d *Director) Order(ctx context.Context, order control.Order) (control.Server, error) {
	by := control.CallerOf(ctx).String()
	var generation uint64
	var changed bool
	var refused error
	err := d.do(ctx, func() {
		var next overrides
		next, changed, refused = d.overrides.obey(d.config, order, by, time.Now())
		if refused != nil || !changed {
			return
		}
		d.overrides = next
		d.Log.Info("order", "action", order.Action, "service", order.Service, "real", order.Real, "by", by, "reason", order.Reason)
		d.happened(orderHappened(order, by))
		generation = d.update()
	})
	if err = errors.Join(err, refused); err != nil {
		return control.Server{}, fmt.Errorf("%s: %w", order.Action, err)
	}
	if changed {
		if err := d.keepOverrides(ctx); err != nil {
			return control.Server{}, fmt.Errorf("%s: in force, but it will not survive a restart: %w", order.Action, err)
		}
		bounded, cancel := context.WithTimeout(ctx, orderBound)
		defer cancel()
		outcome, err := d.applier.wait(bounded, generation)
		if err = errors.Join(err, outcome.TableErr); err != nil {
			return control.Server{}, fmt.Errorf("%s: in force, but the kernel has not followed: %w", order.Action, err)
		}
	}
	server, err := d.Server(ctx, order.Service, order.Real)
	server.Changed = changed
	return server, err
}

// Server implements control.Operator.
func (d *Director) Server(ctx context.Context, service, real string) (control.Server, error) {
	var s config.Service
	var r config.Real
	var out control.Server
	var unknown error
	err := d.do(ctx, func() {
		if s, r, unknown = findReal(d.config, service, real); unknown == nil {
			out = control.Server{Service: s.Name, Real: r.String(), Master: holdsAny(s, r, d.roles), Overrides: d.overrides.of(s.Name, r)}
		}
	})
	if err = errors.Join(err, unknown); err != nil {
		return out, err
	}
	kernel, cancel := context.WithTimeout(ctx, kernelBound)
	defer cancel()
	live, err := d.Host.Services(kernel, serviceKeys(s))
	if err != nil {
		return out, fmt.Errorf("reading the server from the kernel: %w", err)
	}
	count := countConnections(s, r, live)
	out.Loaded, out.Listeners, out.At = count.dests, len(listenersOf(s, r)), time.Now()
	out.Weight, out.Active, out.Inactive = count.weight, count.active, count.inactive
	return out, nil
}

func serviceKeys(s config.Service) []ipvsctl.ServiceKey {
	keys := make([]ipvsctl.ServiceKey, len(s.Listen))
	for i, listen := range s.Listen {
		keys[i] = serviceKey(s, listen)
	}
	return keys
}

// listenersOf are those of a service at which a real server serves: where it has both
// families, those of its own.
func listenersOf(s config.Service, real config.Real) []netip.AddrPort {
	return slices.DeleteFunc(slices.Clone(s.Listen), func(listen netip.AddrPort) bool {
		return !slices.ContainsFunc(s.At(listen).Real, func(r config.Real) bool { return r.String() == real.String() })
	})
}

// holdsAny reports whether this node has the address of a listener at which the
// real server serves.
func holdsAny(s config.Service, real config.Real, roles map[string]Role) bool {
	return slices.ContainsFunc(listenersOf(s, real), func(listen netip.AddrPort) bool { return roles[s.Router(listen)].Holds() })
}

// tally is what the kernel has of one real server over all listeners.
type tally struct {
	services, dests  int
	weight           uint32 // the highest
	active, inactive uint32
}

func (c tally) connections() uint32 { return c.active + c.inactive }

func countConnections(s config.Service, real config.Real, live ipvsctl.LiveTable) tally {
	var c tally
	for _, listen := range listenersOf(s, real) {
		service, ok := live.Find(serviceKey(s, listen))
		if !ok {
			continue
		}
		c.services++
		for _, dest := range service.Dests {
			if dest.Key == destKey(real, listen) {
				c.dests++
				c.weight = max(c.weight, dest.Weight)
				c.active += dest.ActiveConns
				c.inactive += dest.InactiveConns
			}
		}
	}
	return c
}

func (d *Director) overridesPath() string { return filepath.Join(d.StateDir, "overrides.json") }

// keepOverrides writes down the overrides that hold. It must not be called on the
// loop, since a disk may be slow.
func (d *Director) keepOverrides(ctx context.Context) error {
	d.keeping.Lock()
	defer d.keeping.Unlock()
	var now overrides
	if err := d.do(ctx, func() { now = d.overrides }); err != nil {
		return err
	}
	if len(now) == 0 {
		return statefile.Remove(d.overridesPath())
	}
	return statefile.Save(d.overridesPath(), now)
}

// noteOverrides has the overrides written down in the background.
func (d *Director) noteOverrides() {
	d.parts.Go(func() {
		if err := d.keepOverrides(d.background); err != nil && d.background.Err() == nil {
			d.Log.Error("writing down the overrides of operators", "error", err)
		}
	})
}

// loadOverrides takes up what operators said before this start.
func (d *Director) loadOverrides() error {
	var all overrides
	if err := statefile.Load(d.overridesPath(), &all); err != nil {
		return err
	}
	d.overrides = all
	return nil
}

// dropOverrides forgets the overrides of what is not configured any more, and
// says so.
func (d *Director) dropOverrides() []string {
	kept, dropped := d.overrides.drop(d.config)
	if len(dropped) == 0 {
		return nil
	}
	for _, line := range dropped {
		d.Log.Warn(line)
	}
	d.overrides = kept
	d.noteOverrides()
	return dropped
}
