package kmod

import (
	"errors"
	"fmt"
	"path"
	"slices"
)

// ErrUnknown says that no module has this name or alias.
var ErrUnknown = errors.New("no such kernel module")

// Resolve returns the files to load, in order, so that the module called name,
// or every module that answers to it as an alias, is there. A built-in module
// needs none. The last file is that of (the last of) the modules asked for.
func (x *Index) Resolve(name string) ([]string, error) {
	var order []string
	seen := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		// A softdep is a wish: one that nothing answers to is passed over.
		for _, p := range x.pre[name] {
			for _, m := range x.lookup(p) {
				visit(m)
			}
		}
		for _, d := range x.depends[name] {
			visit(d)
		}
		if file, ok := x.paths[name]; ok {
			order = append(order, file)
		}
	}
	found := x.lookup(name)
	if len(found) == 0 && !x.Builtin(name) {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	for _, m := range found {
		visit(m)
	}
	return order, nil
}

// lookup returns the modules that a name or an alias stands for.
func (x *Index) lookup(name string) []string {
	name = normalise(name)
	if _, ok := x.paths[name]; ok {
		return []string{name}
	}
	var found []string
	for _, a := range x.aliases {
		if ok, err := path.Match(a.pattern, name); err == nil && ok && !slices.Contains(found, a.name) {
			found = append(found, a.name)
		}
	}
	return found
}
