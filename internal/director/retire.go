package director

import (
	"net/netip"
	"slices"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

// leaver is a virtual router as it was before a reload. Until it has handed over
// it counts instead of what the configuration now says of it, if anything.
type leaver struct {
	router   config.VRRP
	services []config.Service // that were configured for it
}

// retire makes leavers of the routers that hold their addresses and of which the
// speaker makes others, or none, under the new configuration.
func (d *Director) retire(old, next *config.Config) {
	wanted := make(map[string]config.VRRP)
	for _, v := range next.Routers() {
		wanted[v.Name] = v
	}
	for _, v := range old.Routers() {
		now, there := wanted[v.Name]
		stays := there && now.Priority != 0 && now.Interface == v.Interface && now.RouterID == v.RouterID
		if stays || !d.roles[v.Name].Holds() || d.leaves(v.Name) {
			continue
		}
		l := leaver{router: v}
		if !there {
			l.services = servicesOf(old, v.Name)
		}
		d.retired = append(d.retired, l)
	}
	for name, role := range d.roles {
		if _, there := wanted[name]; !there && !role.Holds() {
			delete(d.roles, name)
		}
	}
}

// servicesOf returns the listeners of a configuration whose addresses a virtual
// router holds.
func servicesOf(c *config.Config, router string) []config.Service {
	var services []config.Service
	for _, s := range c.Services {
		s.Listen = slices.DeleteFunc(slices.Clone(s.Listen), func(a netip.AddrPort) bool { return s.Router(a) != router })
		if len(s.Listen) > 0 {
			services = append(services, s)
		}
	}
	return services
}

func (d *Director) leaves(router string) bool {
	return slices.ContainsFunc(d.retired, func(l leaver) bool { return l.router.Name == router })
}

// dropLeaver takes a leaver for gone.
func (d *Director) dropLeaver(router string) {
	d.retired = slices.DeleteFunc(d.retired, func(l leaver) bool { return l.router.Name == router })
}

// dropLeavers takes all leavers for gone: the speaker that knew them has died.
func (d *Director) dropLeavers() {
	for _, l := range d.retired {
		d.roles[l.router.Name] = Role{State: vrrp.Init, Reason: vrrp.ReasonRemoved, Since: time.Now(), Decided: true}
	}
	d.retired = nil
}

// effective is the configuration with the leavers that have not handed over yet.
func (d *Director) effective() *config.Config {
	d.retired = slices.DeleteFunc(d.retired, func(l leaver) bool { return !d.roles[l.router.Name].Holds() })
	if len(d.retired) == 0 {
		return d.config
	}
	c := *d.config
	c.VRRP = slices.DeleteFunc(c.Routers(), func(v config.VRRP) bool { return d.leaves(v.Name) })
	c.Services = slices.Clone(c.Services)
	served := make(map[ipvsctl.ServiceKey]bool) // by a router that has its addresses
	for _, s := range d.config.Services {
		for _, listen := range s.Listen {
			served[serviceKey(s, listen)] = d.roles[s.Router(listen)].Holds()
		}
	}
	for _, l := range d.retired {
		c.VRRP = append(c.VRRP, l.router)
		for _, s := range l.services {
			s.Listen = slices.DeleteFunc(slices.Clone(s.Listen), func(a netip.AddrPort) bool { return served[serviceKey(s, a)] })
			c.Services = append(c.Services, s)
		}
	}
	return &c
}
