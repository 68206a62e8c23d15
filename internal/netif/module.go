package netif

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// ModuleState says whether the kernel has a module.
type ModuleState string

const (
	ModuleLoaded    ModuleState = "loaded"
	ModuleBuiltIn   ModuleState = "built in"
	ModuleAvailable ModuleState = "available" // on disk: loaded when something asks for it
	ModuleAbsent    ModuleState = "absent"
	// ModuleUnknown: not loaded, and there is no list of this kernel's modules,
	// as in most containers.
	ModuleUnknown ModuleState = "unknown"
)

// Module looks a kernel module up, such as "ip_vs" or "ipip". It never loads one.
func Module(name string) (ModuleState, error) {
	state, err := findModule(os.DirFS("/"), name)
	if err != nil {
		return "", fmt.Errorf("looking for kernel module %s: %w", name, err)
	}
	return state, nil
}

func findModule(root fs.FS, name string) (ModuleState, error) {
	name = moduleName(name)
	loaded, err := listed(root, "proc/modules", name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without loadable modules
		return "", err
	}
	if loaded {
		return ModuleLoaded, nil
	}
	// What is not in the list above and has a directory was linked in.
	if _, err := fs.Stat(root, "sys/module/"+name); err == nil {
		return ModuleBuiltIn, nil
	}
	release, err := fs.ReadFile(root, "proc/sys/kernel/osrelease")
	if err != nil {
		return "", err
	}
	dir := path.Join("lib/modules", strings.TrimSpace(string(release)))
	lists := []struct {
		file  string
		state ModuleState
	}{{"modules.builtin", ModuleBuiltIn}, {"modules.dep", ModuleAvailable}}
	state := ModuleAbsent
	for _, l := range lists {
		found, err := listed(root, path.Join(dir, l.file), name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			state = ModuleUnknown
		case err != nil:
			return "", err
		case found:
			return l.state, nil
		}
	}
	return state, nil
}

// listed reports whether the first word of some line names the module, as
// itself or as a file.
func listed(root fs.FS, file, name string) (bool, error) {
	f, err := root.Open(file)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		word, _, _ := strings.Cut(lines.Text(), " ")
		if moduleName(strings.TrimSuffix(word, ":")) == name {
			return true, nil
		}
	}
	return false, lines.Err()
}

// moduleName makes "kernel/net/ipv4/ip-vs.ko.xz" and "ip_vs" the same.
func moduleName(s string) string {
	s, _, _ = strings.Cut(path.Base(s), ".ko")
	return strings.ReplaceAll(s, "-", "_")
}
