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
	current recorded
}

type recorded struct {
	Services []ipvsctl.ServiceKey `json:"services"`
}

// openRecord reads what an earlier process left.
func openRecord(runDir string) (*record, error) {
	r := &record{path: filepath.Join(runDir, "services.json")}
	return r, statefile.Load(r.path, &r.current)
}

func (r *record) services() map[ipvsctl.ServiceKey]bool {
	set := make(map[ipvsctl.ServiceKey]bool, len(r.current.Services))
	for _, key := range r.current.Services {
		set[key] = true
	}
	return set
}

// add writes down services before they are loaded.
func (r *record) add(services map[ipvsctl.ServiceKey]bool) error {
	union := r.services()
	maps.Copy(union, services)
	return r.keep(union)
}

// keep forgets all but the given services.
func (r *record) keep(services map[ipvsctl.ServiceKey]bool) error {
	next := recorded{Services: slices.SortedFunc(maps.Keys(services), ipvsctl.ServiceKey.Compare)}
	if slices.Equal(next.Services, r.current.Services) {
		return nil
	}
	if err := statefile.Save(r.path, next); err != nil {
		return err
	}
	r.current = next
	return nil
}

// remove forgets everything.
func (r *record) remove() error {
	r.current = recorded{}
	return statefile.Remove(r.path)
}
