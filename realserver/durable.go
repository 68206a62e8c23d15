package realserver

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// writeDurably replaces the file as a whole or not at all, on disk when it returns.
func writeDurably(name string, data []byte) error {
	next := unfinished(name)
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(next, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return syncDirectory(filepath.Dir(name))
}

// removeDurably removes the file and what a crash left of its successor.
func removeDurably(name string) error {
	for _, n := range []string{unfinished(name), name} {
		if err := os.Remove(n); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDirectory(filepath.Dir(name))
}

func unfinished(name string) string { return name + ".new" }

func syncDirectory(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func exists(name string) (bool, error) {
	_, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
