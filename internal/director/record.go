package director

import (
	"maps"
	"path/filepath"
	"slices"

	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// record knows which IPVS services are ours even if the configuration no
// longer names them. It is kept in the run directory, so that a later process
// takes them away.
type record struct {
	path    string
	current map[ipvsctl.ServiceKey]bool
}

type recorded struct {
	Services []ipvsctl.ServiceKey `json:"services"`
}

// openRecord reads what an earlier process left.
func openRecord(runDir string) (*record, error) {
	r := &record{path: filepath.Join(runDir, "services.json"), current: make(map[ipvsctl.ServiceKey]bool)}
	var text recorded
	if err := statefile.Load(r.path, &text); err != nil {
		return nil, err
	}
	for _, key := range text.Services {
		r.current[key] = true
	}
	return r, nil
}

// services are what is written down. The map is not to be changed.
func (r *record) services() map[ipvsctl.ServiceKey]bool { return r.current }

// add writes down services before they are loaded.
func (r *record) add(services map[ipvsctl.ServiceKey]bool) error {
	if r.has(services) {
		return nil
	}
	union := make(map[ipvsctl.ServiceKey]bool, len(r.current)+len(services))
	maps.Copy(union, r.current)
	maps.Copy(union, services)
	return r.keep(union)
}

// has reports whether all of the services are written down.
func (r *record) has(services map[ipvsctl.ServiceKey]bool) bool {
	for key := range services {
		if !r.current[key] {
			return false
		}
	}
	return true
}

// keep forgets all but the given services. It keeps the map.
func (r *record) keep(services map[ipvsctl.ServiceKey]bool) error {
	if len(services) == len(r.current) && r.has(services) {
		return nil
	}
	text := recorded{Services: slices.SortedFunc(maps.Keys(services), ipvsctl.ServiceKey.Compare)}
	if err := statefile.Save(r.path, text); err != nil {
		return err
	}
	r.current = services
	return nil
}

// remove forgets everything.
func (r *record) remove() error {
	r.current = make(map[ipvsctl.ServiceKey]bool)
	return statefile.Remove(r.path)
}
