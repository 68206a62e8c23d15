package director

import (
	"slices"

	"github.com/haldir-lb/haldir/vrrp"
)

// routers derives the virtual routers of this node, each with what keeps it from
// being master now.
func (d *Director) routers() []vrrp.RouterConfig {
	routers := slices.Clone(d.index().own)
	for i := range routers {
		if d.maintenance != nil {
			routers[i].Ineligible = vrrp.ReasonMaintenance
		}
	}
	return d.withStandings(routers)
}

// rolesNow returns a copy of the roles, the generation of the desired state that
// follows from them, and what is closed when a role changes.
func (d *Director) rolesNow() (map[string]Role, uint64, <-chan struct{}) {
	roles := make(map[string]Role, len(d.roles))
	for name, role := range d.roles {
		roles[name] = role
	}
	return roles, d.generation, d.rolesChanged
}
