package director

import (
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/peer"
	"github.com/haldir-lb/haldir/vrrp"
)

// index answers what is asked of a configuration for each piece of news, so that a
// takeover of a thousand virtual routers does not derive a thousand of them a
// thousand times. What it returns is not to be changed.
type index struct {
	of      *config.Config
	routers []config.VRRP       // of both families, as Config.Routers has them
	byName  map[string]int      // in routers
	byBlock map[string][]string // names of routers
	own     []vrrp.RouterConfig // as Routers derives them
	groups  map[string][]string // names of routers by VRRP.Group
	paths   []peer.Path         // to the other directors
}

func newIndex(c *config.Config) *index {
	x := &index{
		of: c, routers: c.Routers(), own: Routers(c), paths: peerPaths(c),
		byName: map[string]int{}, byBlock: map[string][]string{}, groups: map[string][]string{},
	}
	for i, v := range x.routers {
		block := config.Block(v.Name)
		x.byName[v.Name] = i
		x.byBlock[block] = append(x.byBlock[block], v.Name)
		if v.Group != "" {
			x.groups[v.Group] = append(x.groups[v.Group], v.Name)
		}
	}
	return x
}

// router returns a virtual router by its name, or nil.
func (x *index) router(name string) *config.VRRP {
	if i, known := x.byName[name]; known {
		return &x.routers[i]
	}
	return nil
}

// index returns that of the configuration in force. It belongs to the loop.
func (d *Director) index() *index {
	if d.indexed == nil || d.indexed.of != d.config {
		d.indexed = newIndex(d.config)
	}
	return d.indexed
}
