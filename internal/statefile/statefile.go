// Package statefile keeps what outlives a process in small files: replaced as a
// whole or not at all, on disk when the call returns, for the owner alone. What
// shall survive a reboot lies in the state folder, what shall not in the run
// folder; which is the caller's choice of a path.
//
// A disk may be slow or stuck. Whoever keeps adverts or addresses going calls
// nothing of this for the state folder; the goroutine of a request does.
package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// DefaultDir is the state folder where none is given.
const DefaultDir = "/var/lib/haldir"

// Load fills v from a JSON file. A missing file leaves v as it is. A file that
// is no JSON is an error: to guess would be to claim what is not ours or to
// forget what an operator said.
func Load(path string, v any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("reading %s: %w (remove the file to forget what it says)", path, err)
	}
	return nil
}

// Save replaces a file by v in JSON. The folder is made if it is missing.
func Save(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "\t")
	return save(path, data, err)
}

// SaveCompact is Save for what is large and read by nobody but Load.
func SaveCompact(path string, v any) error {
	data, err := json.Marshal(v)
	return save(path, data, err)
}

func save(path string, data []byte, err error) error {
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = Replace(path, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// Replace replaces a file by data, of mode 0600 since it may hold a password.
func Replace(path string, data []byte) error {
	next := unfinished(path)
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = f.Chmod(0o600) // one of another mode may have been left
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return syncFolder(filepath.Dir(path))
}

// Remove removes a file, if it is there, and what a crash left of its successor.
func Remove(path string) error {
	removed := false
	for _, p := range []string{unfinished(path), path} {
		switch err := os.Remove(p); {
		case err == nil:
			removed = true
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("removing %s: %w", path, err)
		}
	}
	if !removed {
		return nil
	}
	return syncFolder(filepath.Dir(path))
}

func unfinished(path string) string { return path + ".new" }

// syncFolder brings the entries of a folder to the disk.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
