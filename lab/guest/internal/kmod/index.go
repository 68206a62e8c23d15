// Package kmod knows Linux kernel modules: it reads what they say of
// themselves, keeps the modules.dep and modules.alias files that depmod would
// write, tells in which order to load them, and loads them. It downloads and
// unpacks nothing.
package kmod

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The files of an index, below lib/modules/RELEASE.
const (
	depFile     = "modules.dep"
	aliasFile   = "modules.alias"
	softdepFile = "modules.softdep"
	builtinFile = "modules.builtin" // comes with the kernel
)

// Index is the modules of one kernel. Paths are relative to lib/modules/RELEASE.
type Index struct {
	paths   map[string]string   // by name
	depends map[string][]string // direct or transitive, by name
	pre     map[string][]string // by name: names or aliases
	aliases []alias
	builtin map[string]bool // by name
}

type alias struct{ pattern, name string }

// Scan reads every .ko file below dir (lib/modules/RELEASE of some root).
func Scan(dir string) (*Index, error) {
	x := newIndex()
	if err := x.readBuiltin(dir); err != nil {
		return nil, err
	}
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".ko" {
			return err
		}
		info, err := ReadInfo(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		x.add(filepath.ToSlash(rel), info)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(x.aliases, func(a, b alias) int {
		return strings.Compare(a.pattern+" "+a.name, b.pattern+" "+b.name)
	})
	return x, nil
}

func newIndex() *Index {
	return &Index{
		paths:   map[string]string{},
		depends: map[string][]string{},
		pre:     map[string][]string{},
		builtin: map[string]bool{},
	}
}

func (x *Index) add(file string, info Info) {
	name := NameOf(file)
	x.paths[name] = file
	for _, d := range info.Depends {
		x.depends[name] = append(x.depends[name], normalise(d))
	}
	for _, p := range info.Pre {
		x.pre[name] = append(x.pre[name], normalise(p))
	}
	for _, a := range info.Aliases {
		x.aliases = append(x.aliases, alias{normalise(a), name})
	}
}

// Save writes the index into dir, in depmod's format. It refuses a tree that
// lacks what some module depends on.
func (x *Index) Save(dir string) error {
	var dep, aliases, softdep strings.Builder
	var missing []error
	for _, name := range x.Names() {
		fmt.Fprintf(&dep, "%s:", x.paths[name])
		for _, d := range x.depends[name] {
			if file, ok := x.paths[d]; ok {
				fmt.Fprintf(&dep, " %s", file)
			} else if !x.builtin[d] {
				missing = append(missing, fmt.Errorf("module %s depends on %s, which is not there", name, d))
			}
		}
		dep.WriteByte('\n')
		if pre := x.pre[name]; len(pre) > 0 {
			fmt.Fprintf(&softdep, "softdep %s pre: %s\n", name, strings.Join(pre, " "))
		}
	}
	if len(missing) > 0 {
		return errors.Join(missing...)
	}
	for _, a := range x.aliases {
		fmt.Fprintf(&aliases, "alias %s %s\n", a.pattern, a.name)
	}
	for file, text := range map[string]string{depFile: dep.String(), aliasFile: aliases.String(), softdepFile: softdep.String()} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing the index of kernel modules: %w", err)
		}
	}
	return nil
}

// Open reads the index that Save wrote into dir.
func Open(dir string) (*Index, error) {
	x := newIndex()
	if err := x.readBuiltin(dir); err != nil {
		return nil, err
	}
	readers := map[string]func(line string){
		depFile: func(line string) {
			file, depends, _ := strings.Cut(line, ":")
			name := NameOf(file)
			x.paths[name] = file
			for _, d := range strings.Fields(depends) {
				x.depends[name] = append(x.depends[name], NameOf(d))
			}
		},
		aliasFile: func(line string) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" {
				x.aliases = append(x.aliases, alias{normalise(f[1]), normalise(f[2])})
			}
		},
		softdepFile: func(line string) {
			if f := strings.Fields(line); len(f) > 3 && f[0] == "softdep" && f[2] == "pre:" {
				x.pre[normalise(f[1])] = f[3:]
			}
		},
	}
	for _, file := range []string{depFile, aliasFile, softdepFile} {
		if err := eachLine(filepath.Join(dir, file), readers[file]); err != nil {
			return nil, fmt.Errorf("reading the index of kernel modules: %w", err)
		}
	}
	return x, nil
}

func (x *Index) readBuiltin(dir string) error {
	err := eachLine(filepath.Join(dir, builtinFile), func(line string) { x.builtin[NameOf(line)] = true })
	if err != nil {
		return fmt.Errorf("reading the list of built-in kernel modules: %w", err)
	}
	return nil
}

func eachLine(file string, do func(string)) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			do(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Names returns the names of all modules that are files, sorted.
func (x *Index) Names() []string {
	names := make([]string, 0, len(x.paths))
	for name := range x.paths {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Below returns the names of the modules in a directory, "kernel/net/sched".
func (x *Index) Below(dir string) []string {
	var names []string
	for _, name := range x.Names() {
		if path.Dir(x.paths[name]) == dir {
			names = append(names, name)
		}
	}
	return names
}

// Builtin reports whether a module is part of the kernel itself.
func (x *Index) Builtin(name string) bool { return x.builtin[normalise(name)] }
