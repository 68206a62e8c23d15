package netif

import (
	"errors"
	"io/fs"
	"slices"
)

func (u undo) restore() (SysctlRestore, error) {
	record, err := u.load()
	if err != nil {
		return SysctlRestore{}, err
	}
	result, err := u.putBack(record.Entries)
	if err != nil {
		return result, err
	}
	return result, u.discard()
}

// putBack restores entries, last one first.
func (u undo) putBack(entries []undoEntry) (SysctlRestore, error) {
	var result SysctlRestore
	var target []Sysctl
	var errs []error
	for _, e := range slices.Backward(entries) {
		now, err := u.sys.readSysctl(e.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			result.Gone = append(result.Gone, e.Path)
		case err != nil:
			errs = append(errs, err)
		case e.expects(now):
			target = append(target, Sysctl{e.Path, e.Earlier})
		default:
			// Also an aim: restoring another one may change it.
			target = append(target, Sysctl{e.Path, now})
			ours := slices.Concat(e.Along, e.Ours)
			result.Left = append(result.Left, SysctlLeft{e.Path, e.Earlier, ours[len(ours)-1], now})
		}
	}
	changes, err := u.set(target)
	for _, c := range changes {
		left := slices.ContainsFunc(result.Left, func(l SysctlLeft) bool { return l.Path == c.Path })
		if !left {
			result.Restored = append(result.Restored, c)
		}
	}
	return result, errors.Join(append(errs, err)...)
}
