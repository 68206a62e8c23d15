package guest

import (
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// addLibraries adds what an ELF file needs to be loaded; a static one needs
// nothing.
func (f Files) addLibraries(path string) error {
	object, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer object.Close()
	if object.Machine != elf.EM_X86_64 {
		return fmt.Errorf("%s is for %v, and the guest is x86-64", path, object.Machine)
	}
	for _, segment := range object.Progs {
		if segment.Type != elf.PT_INTERP {
			continue
		}
		loader, err := io.ReadAll(io.LimitReader(segment.Open(), 4096))
		if err != nil {
			return err
		}
		name := strings.TrimRight(string(loader), "\x00")
		f[name] = name
	}
	// A static file has no dynamic section, which is no error here.
	needed, err := object.DynString(elf.DT_NEEDED)
	if err != nil || len(needed) == 0 {
		return err
	}
	dirs := append(runPath(object, path), systemLibraryDirs()...)
	for _, name := range needed {
		library, err := findLibrary(name, dirs)
		if err != nil {
			return fmt.Errorf("%s needs %s: %w", path, name, err)
		}
		if _, there := f[library]; there {
			continue
		}
		f[library] = library
		if err := f.addLibraries(library); err != nil {
			return err
		}
	}
	return nil
}

// runPath returns the directories that the object itself names.
func runPath(object *elf.File, path string) []string {
	var dirs []string
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		lists, err := object.DynString(tag)
		if err != nil {
			continue
		}
		for _, list := range lists {
			for _, dir := range filepath.SplitList(list) {
				dir = strings.ReplaceAll(dir, "${ORIGIN}", "$ORIGIN")
				dirs = append(dirs, strings.ReplaceAll(dir, "$ORIGIN", filepath.Dir(path)))
			}
		}
	}
	return dirs
}

// systemLibraryDirs returns where ld.so looks: what its configuration lists, and
// the directories built into it.
func systemLibraryDirs() []string {
	dirs := configuredDirs("/etc/ld.so.conf", 0)
	for _, dir := range []string{
		"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
	} {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// maxIncludes bounds the depth of includes in ld.so.conf.
const maxIncludes = 8

func configuredDirs(file string, depth int) []string {
	text, err := os.ReadFile(file)
	if err != nil || depth > maxIncludes {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if pattern, ok := strings.CutPrefix(line, "include "); ok {
			pattern = strings.TrimSpace(pattern)
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(file), pattern)
			}
			included, _ := filepath.Glob(pattern)
			for _, f := range included {
				dirs = append(dirs, configuredDirs(f, depth+1)...)
			}
		} else if line != "" {
			dirs = append(dirs, line)
		}
	}
	return dirs
}

// findLibrary returns the first file of this name for x86-64.
func findLibrary(name string, dirs []string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		object, err := elf.Open(path)
		if err != nil {
			continue
		}
		machine := object.Machine
		object.Close()
		if machine == elf.EM_X86_64 {
			return path, nil
		}
	}
	return "", fs.ErrNotExist
}
