package netif

import (
	"errors"
	"fmt"
	"slices"
)

func (u undo) apply(want []Sysctl) ([]SysctlChange, error) {
	record, err := u.load()
	if err != nil {
		return nil, err
	}
	want, err = u.keepAdvertisements(want)
	if err != nil {
		return nil, err
	}
	if err := u.plan(record, want); err != nil {
		return nil, err
	}
	if len(record.Entries) == 0 {
		return nil, u.discard()
	}
	if err := u.save(record); err != nil {
		return nil, err
	}
	// From here on everything that may change is on disk.
	unwanted, kept := record.split(want)
	if _, err := u.putBack(unwanted); err != nil {
		return nil, err
	}
	changes, err := u.set(want)
	if err != nil {
		return changes, err
	}
	if len(kept) == 0 {
		return changes, u.discard()
	}
	for i := range kept {
		if w := slices.IndexFunc(want, func(s Sysctl) bool { return s.Path == kept[i].Path }); w >= 0 {
			kept[i].Ours = []string{want[w].Value}
		}
	}
	record.Entries = kept
	return changes, u.save(record)
}

// plan enters into the record everything that setting want will change.
func (u undo) plan(record *undoRecord, want []Sysctl) error {
	var errs []error
	seen := map[string]bool{}
	for _, s := range want {
		if seen[s.Path] {
			errs = append(errs, fmt.Errorf("sysctl %s is wanted twice", s.Path))
			continue
		}
		seen[s.Path] = true
		now, err := u.sys.readSysctl(s.Path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		// Effects come before their cause, so that going backwards restores
		// the cause first.
		effects, err := u.effects(s, now)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, e := range effects {
			record.put(e)
		}
		record.put(undoEntry{Path: s.Path, Earlier: now, Ours: []string{s.Value}})
	}
	return errors.Join(errs...)
}

// split parts the entries into those that want no longer has and the others.
func (r *undoRecord) split(want []Sysctl) (unwanted, kept []undoEntry) {
	wanted := func(path string) bool {
		return slices.ContainsFunc(want, func(s Sysctl) bool { return s.Path == path })
	}
	for _, e := range r.Entries {
		if wanted(e.Path) || e.Cause != "" && wanted(e.Cause) {
			kept = append(kept, e)
		} else {
			unwanted = append(unwanted, e)
		}
	}
	return unwanted, kept
}

// passes is how often values are written: setting one sysctl can change
// another that was set before.
const passes = 2

// set writes what differs from want and reads it back.
func (u undo) set(want []Sysctl) ([]SysctlChange, error) {
	var changes []SysctlChange
	failed := map[string]error{}
	for pass := range passes + 1 {
		for _, s := range want {
			if failed[s.Path] != nil {
				continue
			}
			now, err := u.sys.readSysctl(s.Path)
			switch {
			case err != nil:
				failed[s.Path] = err
				continue
			case sameValue(now, s.Value):
				continue
			case pass == passes:
				failed[s.Path] = fmt.Errorf("setting sysctl %s: it reads %q afterwards", s, now)
				continue
			}
			if err := u.sys.writeSysctl(s.Path, s.Value); err != nil {
				failed[s.Path] = err
				continue
			}
			if !slices.ContainsFunc(changes, func(c SysctlChange) bool { return c.Path == s.Path }) {
				changes = append(changes, SysctlChange{Path: s.Path, From: now, Value: s.Value})
			}
		}
	}
	var errs []error
	for _, s := range want {
		errs = append(errs, failed[s.Path])
	}
	return changes, errors.Join(errs...)
}
