package kmod

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Load loads the module called name, and before it what it needs, from dir
// (lib/modules/RELEASE). What is loaded already is left alone. Parameters, in
// the form of init_module(2), are given to the last file alone.
func (x *Index) Load(dir, name, parameters string) error {
	files, err := x.Resolve(name)
	if err != nil {
		return err
	}
	for i, file := range files {
		last := i == len(files)-1
		p := ""
		if last {
			p = parameters
		}
		err := load(filepath.Join(dir, file), p)
		// One of several drivers for the same thing may not fit this CPU. Where
		// it was indispensable, the last file does not load either.
		if err != nil && (last || !errors.Is(err, unix.ENODEV)) {
			return fmt.Errorf("loading kernel module %s: %w", NameOf(file), err)
		}
	}
	return nil
}

func load(file, parameters string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), parameters, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}
