package director

import (
	"slices"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// resumeRamps goes on with the slow starts of a director that died: those of real
// servers that have less than their full weight in the kernel, from there.
func (d *Director) resumeRamps(live ipvsctl.LiveTable, now time.Time) {
	probes := NewProbes(d.config)
	in := Inputs{Config: d.config, Health: d.health, Overrides: d.overrides, Probes: probes, Now: now}
	for _, s := range d.config.Services {
		if s.Pool.SlowStart == 0 {
			continue
		}
		for _, listen := range s.Listen {
			s := s.At(listen)
			service, loaded := live.Find(serviceKey(s, listen))
			if !loaded {
				continue
			}
			pool := members(s, listen, in)
			r := newRamp(s.Pool.SlowStart, pool)
			for i, real := range s.Real {
				key := destKey(real, listen)
				j := slices.IndexFunc(service.Dests, func(dest ipvsctl.LiveDest) bool { return dest.Key == key })
				full := r.seat(pool[i], now).Weight // nobody has risen yet
				if j < 0 || pool[i].mode != serving || service.Dests[j].Weight == 0 || service.Dests[j].Weight >= full {
					continue
				}
				risen := now.Add(-r.age(service.Dests[j].Weight, full))
				for _, t := range probes.of(s, real, listen) {
					if v, known := believed(t, d.health); known && v.Status == healthcheck.Up {
						d.risen[t.ID] = risen
					}
				}
			}
		}
	}
}
