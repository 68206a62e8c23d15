package netif

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// SysctlChange is a sysctl that was set.
type SysctlChange struct {
	Path  string `json:"path"`
	From  string `json:"from"` // the value found by this call
	Value string `json:"value"`
}

// SysctlLeft is a sysctl that was not restored since somebody else had set it
// after us.
type SysctlLeft struct {
	Path    string `json:"path"`
	Earlier string `json:"earlier"` // the value before us
	Ours    string `json:"ours"`
	Now     string `json:"now"`
}

// SysctlRestore says what a restore did.
type SysctlRestore struct {
	Restored []SysctlChange // back to their earlier values
	Left     []SysctlLeft   // changed by somebody else since: as they set it
	Gone     []string       // paths that went with their interface
}

// ApplySysctls makes want the whole set of sysctls that are kept under the
// record, a file in an existing directory that does not outlive the kernel's
// run (below /run), and reads every value back.
//
// All earlier values are on disk, synced, before the first change. A value that
// was recorded by an earlier call stays the one to go back to. What an earlier
// call applied and want no longer has is restored, as by RestoreSysctls. So the
// call may be repeated at any time, also after a crash half-way.
//
// Together with Forwarding6, accept_ra is kept in effect on every interface.
//
// If a sysctl in want cannot be read, or the record is damaged or cannot be
// written, nothing is changed. If one cannot be set, the others are.
func ApplySysctls(record string, want []Sysctl) ([]SysctlChange, error) {
	unlock, err := lockDirectory(path.Dir(record))
	if err != nil {
		return nil, fmt.Errorf("applying sysctls: %w", err)
	}
	defer unlock()
	u := undo{sys: hostSysctls{}, record: record}
	changes, err := u.apply(want)
	if err != nil {
		return changes, fmt.Errorf("applying sysctls: %w", err)
	}
	return changes, nil
}

// RestoreSysctls brings back the values from before the first ApplySysctls, in
// reverse order, and removes the record. Without a record there is nothing to
// do. A value that somebody else changed since is left, and reported. If a
// value cannot be restored the record stays, so that the call can be repeated.
func RestoreSysctls(record string) (SysctlRestore, error) {
	unlock, err := lockDirectory(path.Dir(record))
	if errors.Is(err, fs.ErrNotExist) {
		return SysctlRestore{}, nil
	}
	if err != nil {
		return SysctlRestore{}, fmt.Errorf("restoring sysctls: %w", err)
	}
	defer unlock()
	u := undo{sys: hostSysctls{}, record: record}
	result, err := u.restore()
	if err != nil {
		return result, fmt.Errorf("restoring sysctls: %w", err)
	}
	return result, nil
}

// undoSystem is what undo needs from the system; each method is a step between
// two of which a crash may come.
type undoSystem interface {
	boot() (string, error)
	readSysctl(path string) (string, error)
	writeSysctl(path, value string) error
	// interfaces lists the directories below path.
	interfaces(path string) ([]string, error)
	readFile(name string) ([]byte, error)
	// replace and remove are synced, and done or not done at all. What is to be
	// removed need not be there.
	replace(name string, data []byte) error
	remove(name string) error
}

// undo applies and restores sysctls under one record.
type undo struct {
	sys    undoSystem
	record string
}

// load returns the record, an empty one if there is none of this boot.
func (u undo) load() (*undoRecord, error) {
	boot, err := u.sys.boot()
	if err != nil {
		return nil, err
	}
	data, err := u.sys.readFile(u.record)
	if errors.Is(err, fs.ErrNotExist) {
		return &undoRecord{Version: recordVersion, Boot: boot}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the undo record %s: %w", u.record, err)
	}
	r, err := decodeRecord(data)
	if err != nil {
		return nil, fmt.Errorf("the undo record %s is damaged, so the earlier values are not known; nothing was changed "+
			"(remedy: check the sysctls by hand, then delete it): %w", u.record, err)
	}
	if r.Boot != boot {
		return &undoRecord{Version: recordVersion, Boot: boot}, nil
	}
	return r, nil
}

func (u undo) save(r *undoRecord) error {
	data, err := r.encode()
	if err != nil {
		return fmt.Errorf("encoding the undo record: %w", err)
	}
	if err := u.sys.replace(u.record, data); err != nil {
		return fmt.Errorf("writing the undo record %s, without which nothing is changed (remedy: make room in %s, and let root write there): %w",
			u.record, path.Dir(u.record), err)
	}
	return nil
}

// discard removes the record.
func (u undo) discard() error {
	if err := u.sys.remove(u.record); err != nil {
		return fmt.Errorf("removing the undo record %s: %w", u.record, err)
	}
	return nil
}
