package netif

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// recordVersion is the layout of the record on disk.
const recordVersion = 1

// undoRecord is what is on disk while sysctls are changed.
type undoRecord struct {
	Version int `json:"version"`
	// Boot identifies the run of the kernel: a reboot has undone everything.
	Boot    string      `json:"boot"`
	Entries []undoEntry `json:"entries"` // in the order in which they are applied
}

// undoEntry is one sysctl.
type undoEntry struct {
	Path    string `json:"path"`
	Earlier string `json:"earlier"` // the value found before our first change
	// Ours are the values that we set. There are two while one is being
	// replaced by the other, none where Along says it all.
	Ours []string `json:"ours,omitempty"`
	// Cause is another sysctl of ours that changes this one along with itself,
	// and Along the values that this one gets by setting or restoring it.
	Cause string   `json:"cause,omitempty"`
	Along []string `json:"along,omitempty"`
}

// expects reports whether value may be there because of us.
func (e undoEntry) expects(value string) bool {
	return slices.ContainsFunc(slices.Concat([]string{e.Earlier}, e.Ours, e.Along), func(known string) bool {
		return sameValue(known, value)
	})
}

func (r *undoRecord) find(path string) int {
	return slices.IndexFunc(r.Entries, func(e undoEntry) bool { return e.Path == path })
}

// put adds an entry, or makes value one of those that the known entry expects.
// The earlier value seen first stays.
func (r *undoRecord) put(e undoEntry) {
	i := r.find(e.Path)
	if i < 0 {
		r.Entries = append(r.Entries, e)
		return
	}
	known := &r.Entries[i]
	known.Ours = union(known.Ours, e.Ours)
	known.Along = union(known.Along, e.Along)
	known.Cause = cmp.Or(known.Cause, e.Cause)
}

func union(a, b []string) []string {
	for _, value := range b {
		if !slices.Contains(a, value) {
			a = append(slices.Clip(a), value)
		}
	}
	return a
}

func (r *undoRecord) encode() ([]byte, error) {
	data, err := json.MarshalIndent(r, "", "\t")
	return append(data, '\n'), err
}

// decodeRecord refuses whatever is not a complete record.
func decodeRecord(data []byte) (*undoRecord, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("it is empty")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var r undoRecord
	if err := d.Decode(&r); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("there is something behind its end")
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("its version is %d, not %d", r.Version, recordVersion)
	}
	for i, e := range r.Entries {
		if _, err := sysctlFile(e.Path); err != nil {
			return nil, fmt.Errorf("entry %d: %q is %w", i, e.Path, err)
		}
		if len(e.Ours)+len(e.Along) == 0 || r.find(e.Path) != i {
			return nil, fmt.Errorf("entry %d: %s has no value of ours or is there twice", i, e.Path)
		}
	}
	return &r, nil
}
