package pid1

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/haldir-lb/haldir/lab/guest/internal/kmod"
)

// Modprobe is /sbin/modprobe: the kernel calls it when a program asks for what
// is in a module ("modprobe -q -- rtnl-link-dummy"). It loads, and does not
// remove. It returns the exit status.
func Modprobe(args []string, stderr io.Writer) int {
	request, err := parseModprobe(args)
	if err == nil {
		err = request.load()
	}
	if err != nil {
		if !request.quiet {
			fmt.Fprintln(stderr, "modprobe:", err)
		}
		return 1
	}
	return 0
}

type modprobe struct {
	names      []string
	parameters string
	quiet      bool
}

// parseModprobe understands -q, -a, -b, -s and -v; without -a only the first
// word is a name, and the others are its parameters.
func parseModprobe(args []string) (modprobe, error) {
	var m modprobe
	all := false
	var words []string
	for i, arg := range args {
		if arg == "--" {
			words = append(words, args[i+1:]...)
			break
		}
		switch arg {
		case "-q", "--quiet":
			m.quiet = true
		case "-a", "--all":
			all = true
		case "-b", "--use-blacklist", "-s", "--syslog", "-v", "--verbose":
		default:
			if strings.HasPrefix(arg, "-") {
				return m, fmt.Errorf("option %s is not known in the guest", arg)
			}
			words = append(words, arg)
		}
	}
	switch {
	case len(words) == 0:
		return m, fmt.Errorf("no module named")
	case all:
		m.names = words
	default:
		m.names, m.parameters = words[:1], strings.Join(words[1:], " ")
	}
	return m, nil
}

func (m modprobe) load() error {
	release, err := kernelRelease()
	if err != nil {
		return err
	}
	dir := filepath.Join("/lib/modules", release)
	index, err := kmod.Open(dir)
	if err != nil {
		return err
	}
	for _, name := range m.names {
		if err := index.Load(dir, name, m.parameters); err != nil {
			return err
		}
	}
	return nil
}
