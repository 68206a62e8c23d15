package netif

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// hostSysctls is the undoSystem of this host.
type hostSysctls struct{}

func (hostSysctls) boot() (string, error) { return ReadSysctl("kernel/random/boot_id") }

func (hostSysctls) readSysctl(path string) (string, error) { return ReadSysctl(path) }

func (hostSysctls) writeSysctl(path, value string) error { return WriteSysctl(path, value) }

func (hostSysctls) interfaces(path string) ([]string, error) {
	file, err := sysctlFile(path)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(file)
	if err != nil {
		return nil, fmt.Errorf("listing sysctls: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

func (hostSysctls) readFile(name string) ([]byte, error) { return os.ReadFile(name) }

func (hostSysctls) writeFile(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (hostSysctls) rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(to))
}

func (hostSysctls) remove(name string) error {
	err := os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(name))
}

func syncDirectory(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
