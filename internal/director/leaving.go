package director

import (
	"slices"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// departure is a server that is no longer meant to be in a service, while its
// connections end: it keeps its entry, with weight 0.
type departure struct {
	Service ipvsctl.Service `json:"service"` // without destinations
	Dest    ipvsctl.Dest    `json:"dest"`
	Router  string          `json:"router"` // that holds the address of the service
	Since   time.Time       `json:"since"`
	Until   time.Time       `json:"until"`
}

// departures returns the servers of the table as it was, which is canonical, that
// the new configuration does not have where the old one had them.
func departures(was ipvsctl.Table, old, next *config.Config, roles map[string]Role, now time.Time) []departure {
	var gone []departure
	before, after := config.Different(old, next)
	stays := places(after, func(ipvsctl.ServiceKey) bool { return true })
	for _, s := range before {
		if s.Pool.Drain == 0 {
			continue
		}
		for _, listen := range s.Listen {
			s, key := s.At(listen), serviceKey(s, listen)
			if !roles[s.Router(listen)].Holds() {
				continue
			}
			i, found := slices.BinarySearchFunc(was, key, func(w ipvsctl.Service, key ipvsctl.ServiceKey) int { return w.Key.Compare(key) })
			if !found {
				continue
			}
			for _, dest := range was[i].Dests {
				if !stays[place{key, dest.Key}] {
					gone = append(gone, depart(was[i], dest, s, now))
				}
			}
		}
	}
	return gone
}

// sorryDepartures returns the sorry servers that are no longer needed.
func sorryDepartures(c *config.Config, was ipvsctl.Table, before, now map[ipvsctl.ServiceKey]Pool, roles map[string]Role, at time.Time) []departure {
	var gone []departure
	for _, s := range c.Services {
		if s.Pool.Sorry == nil {
			continue
		}
		for _, listen := range s.Listen {
			if s.Pool.Sorry == nil {
				continue
			}
			s, key := s.At(listen), serviceKey(s, listen)
			if s.Pool.Sorry == nil || s.Pool.Drain == 0 || !roles[s.Router(listen)].Holds() {
				continue
			}
			if !before[key].Sorry || now[key].Sorry {
				continue
			}
			for _, w := range was {
				i := slices.IndexFunc(w.Dests, func(d ipvsctl.Dest) bool { return d.Key == destKey(*s.Pool.Sorry, listen) })
				if w.Key == key && i >= 0 {
					gone = append(gone, depart(w, w.Dests[i], s, at))
				}
			}
		}
	}
	return gone
}

// depart is the departure of a server from s at its one listener.
func depart(service ipvsctl.Service, dest ipvsctl.Dest, s config.Service, now time.Time) departure {
	service.Dests = nil
	dest.Weight = 0
	return departure{Service: service, Dest: dest, Router: s.Router(s.Listen[0]), Since: now.Round(0), Until: now.Round(0).Add(s.Pool.Drain)}
}

// place is an entry of a table.
type place struct {
	service ipvsctl.ServiceKey
	dest    ipvsctl.DestKey
}

// places are those of all real servers of services, and of the sorry servers for
// which count returns true.
func places(services []config.Service, count func(ipvsctl.ServiceKey) bool) map[place]bool {
	all := make(map[place]bool)
	for _, s := range services {
		for _, listen := range s.Listen {
			s, key := s.At(listen), serviceKey(s, listen)
			for _, real := range s.Real {
				all[place{key, destKey(real, listen)}] = true
			}
			if s.Pool.Sorry != nil && count(key) {
				all[place{key, destKey(*s.Pool.Sorry, listen)}] = true
			}
		}
	}
	return all
}

// addLeaving puts the servers that leave into a table, where their router holds
// the address.
func addLeaving(table ipvsctl.Table, leaving []departure, roles map[string]Role) ipvsctl.Table {
	for _, p := range leaving {
		if !roles[p.Router].Holds() {
			continue
		}
		i := slices.IndexFunc(table, func(s ipvsctl.Service) bool { return s.Key == p.Service.Key })
		if i < 0 {
			table = append(table, p.Service)
			i = len(table) - 1
		}
		if !slices.ContainsFunc(table[i].Dests, func(d ipvsctl.Dest) bool { return d.Key == p.Dest.Key }) {
			table[i].Dests = append(table[i].Dests, p.Dest)
		}
	}
	return table
}

// stillLeaving returns the departures that are not over: the server is not back,
// its router still holds the address, and it has time.
func stillLeaving(leaving []departure, c *config.Config, pools map[ipvsctl.ServiceKey]Pool, roles map[string]Role, now time.Time) []departure {
	if len(leaving) == 0 {
		return nil
	}
	back := places(c.Services, func(key ipvsctl.ServiceKey) bool { return pools[key].Sorry })
	return slices.DeleteFunc(slices.Clone(leaving), func(p departure) bool {
		return back[place{p.Service.Key, p.Dest.Key}] || !roles[p.Router].Holds() || !now.Before(p.Until)
	})
}

// ended reports whether the entry has weight 0 and no connections, or is gone. Until
// weight 0 is in the kernel, new ones may come.
func (p departure) ended(live ipvsctl.LiveTable) bool {
	service, _ := live.Find(p.Service.Key)
	for _, dest := range service.Dests {
		if dest.Key == p.Dest.Key {
			return dest.Weight == 0 && dest.ActiveConns+dest.InactiveConns == 0
		}
	}
	return true
}
