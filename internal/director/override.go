package director

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
)

// Override is what an operator said of one real server of a service.
type Override struct {
	Service string `json:"service"`
	Real    string `json:"real"` // as the configuration names it
	control.Override
}

// overrides are all that hold, at most one of a kind for each real server.
type overrides []Override

// of returns those of one real server.
func (all overrides) of(service string, real config.Real) []control.Override {
	if len(all) == 0 {
		return nil
	}
	var list []control.Override
	name := real.String()
	for _, o := range all {
		if o.Service == service && o.Real == name {
			list = append(list, o.Override)
		}
	}
	return list
}

// apply is what the overrides make of a member.
func (m *member) apply(list []control.Override) {
	for _, o := range list {
		switch {
		case o.What == control.OverrideWeight:
			m.weight = o.Weight
		case o.What == control.OverrideDrain && o.Ended.IsZero():
			m.mode = max(m.mode, draining)
		default:
			m.mode = out
		}
	}
}

// findReal returns the real server that a person names: by address, or with a
// port where an address does not tell it.
func findReal(c *config.Config, service, name string) (config.Service, config.Real, error) {
	i := slices.IndexFunc(c.Services, func(s config.Service) bool { return s.Name == service })
	if i < 0 {
		var names []string
		for _, s := range c.Services {
			names = append(names, s.Name)
		}
		return config.Service{}, config.Real{}, fmt.Errorf("there is no service %q; there are: %s", service, listed(names))
	}
	s := c.Services[i]
	var found []config.Real
	var names []string
	for _, r := range s.Real {
		names = append(names, r.String())
		if r.String() == name {
			return s, r, nil
		}
		if r.Address.String() == name || withListenersPort(s, r, name) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 1:
		return s, found[0], nil
	case 0:
		return s, config.Real{}, fmt.Errorf("service %q has no real server %s; it has: %s", service, name, listed(names))
	}
	return s, config.Real{}, fmt.Errorf("service %q has several real servers %s; name one of: %s", service, name, listed(names))
}

// withListenersPort reports whether name is the server with the port of a listener, which
// is how the status shows it.
func withListenersPort(s config.Service, r config.Real, name string) bool {
	at, err := netip.ParseAddrPort(name)
	return err == nil && r.Port == 0 && at.Addr() == r.Address &&
		slices.ContainsFunc(s.Listen, func(l netip.AddrPort) bool { return l.Port() == at.Port() })
}

func listed(names []string) string {
	const most = 12
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// obey returns what holds after an order, and whether that is anything else than
// before. It changes nothing.
func (all overrides) obey(c *config.Config, order control.Order, by string, now time.Time) (overrides, bool, error) {
	s, real, err := findReal(c, order.Service, order.Real)
	if err != nil {
		return all, false, err
	}
	o := Override{Service: s.Name, Real: real.String(), Override: control.Override{By: by, At: now.Round(0), Reason: order.Reason}}
	same := func(what string) func(Override) bool {
		return func(e Override) bool { return e.Service == o.Service && e.Real == o.Real && e.What == what }
	}
	without := func(what string) overrides { return slices.DeleteFunc(slices.Clone(all), same(what)) }
	switch order.Action {
	case "drain":
		o.What = control.OverrideDrain
		if i := slices.IndexFunc(all, same(o.What)); i >= 0 && !all[i].Ended.IsZero() {
			return all, false, nil // there is nothing left to drain
		}
		if bound := drainBound(s, order.Timeout); bound >= 0 {
			o.Until = o.At.Add(bound)
		}
	case "disable":
		o.What = control.OverrideDisable
	case "weight":
		if order.Weight > maxWeight {
			return all, false, fmt.Errorf("weight %d is out of range: 0 to %d", order.Weight, maxWeight)
		}
		o.What, o.Weight = control.OverrideWeight, order.Weight
	case "undrain", "enable", "configured":
		ends := map[string]string{"undrain": control.OverrideDrain, "enable": control.OverrideDisable, "configured": control.OverrideWeight}
		next := without(ends[order.Action])
		return next, len(next) != len(all), nil
	default:
		return all, false, fmt.Errorf("unknown action %q: drain, undrain, disable, enable, weight, configured", order.Action)
	}
	return append(without(o.What), o), true, nil
}

// drainBound is how long a drain may take; below 0 is without a bound.
func drainBound(s config.Service, asked control.Milliseconds) time.Duration {
	if asked == 0 {
		return s.Pool.Drain
	}
	return asked.Duration()
}

// drop returns the overrides of what is configured, and says which are gone.
func (all overrides) drop(c *config.Config) (kept overrides, dropped []string) {
	for _, o := range all {
		_, real, err := findReal(c, o.Service, o.Real)
		if err != nil || real.String() != o.Real {
			dropped = append(dropped, fmt.Sprintf("override dropped: %s of real server %s of service %q by %s is of nothing that is configured", o, o.Real, o.Service, o.By))
			continue
		}
		kept = append(kept, o)
	}
	return kept, dropped
}

// ended returns the overrides with an end noted in the drains that are over: all
// entries of the server have weight 0 and no connections, or its time is up. Where
// this node does not have the address, nothing shows how many connections the
// server has, and only time ends the drain.
func (all overrides) ended(c *config.Config, r reading, roles map[string]Role, now time.Time) (overrides, bool) {
	next, changed := slices.Clone(all), false
	for i := range next {
		o := &next[i]
		if o.What != control.OverrideDrain || !o.Ended.IsZero() {
			continue
		}
		s, real, err := findReal(c, o.Service, o.Real)
		if err != nil {
			continue
		}
		count := countConnections(s, real, r.live)
		known := r.ok && holdsAll(s, real, roles) && count.services == len(listenersOf(s, real))
		late := !o.Until.IsZero() && !now.Before(o.Until)
		if known && count.weight == 0 && count.connections() == 0 || late {
			o.Ended, changed = now.Round(0), true
			if known {
				o.Left = count.connections()
			}
		}
	}
	return next, changed
}

// holdsAll reports whether this node has the addresses of all listeners at which the
// real server serves.
func holdsAll(s config.Service, real config.Real, roles map[string]Role) bool {
	return !slices.ContainsFunc(listenersOf(s, real), func(listen netip.AddrPort) bool { return !roles[s.Router(listen)].Holds() })
}
