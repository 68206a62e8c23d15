package kmod

import (
	"debug/elf"
	"fmt"
	"path"
	"strings"
)

// Info is what a module says of itself in its .modinfo section.
type Info struct {
	Depends []string // names of modules that must be loaded before
	Pre     []string // names or aliases that should be loaded before (softdep)
	Aliases []string // names it also answers to, with * ? [] as in fnmatch
}

// ReadInfo reads the .modinfo section of an uncompressed module file.
func ReadInfo(file string) (Info, error) {
	f, err := elf.Open(file)
	if err != nil {
		return Info{}, fmt.Errorf("reading module %s: %w", file, err)
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return Info{}, fmt.Errorf("reading module %s: no .modinfo section", file)
	}
	data, err := section.Data()
	if err != nil {
		return Info{}, fmt.Errorf("reading module %s: %w", file, err)
	}
	return parseInfo(data), nil
}

// parseInfo reads key=value strings that end in one or more zero bytes.
func parseInfo(section []byte) Info {
	var info Info
	for field := range strings.SplitSeq(string(section), "\x00") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "depends":
			info.Depends = append(info.Depends, splitList(value, ",")...)
		case "alias":
			info.Aliases = append(info.Aliases, value)
		case "softdep":
			if pre, ok := strings.CutPrefix(value, "pre:"); ok {
				pre, _, _ = strings.Cut(pre, "post:")
				info.Pre = append(info.Pre, strings.Fields(pre)...)
			}
		}
	}
	return info
}

func splitList(list, separator string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, separator)
}

// NameOf returns the name of the module in a file: "nf_nat" for
// "kernel/net/netfilter/nf-nat.ko".
func NameOf(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".")
	return normalise(name)
}

// normalise makes the two spellings of a module's name one, as modprobe does.
func normalise(name string) string { return strings.ReplaceAll(name, "-", "_") }
