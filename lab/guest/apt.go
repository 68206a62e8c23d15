package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// errNoPackage says that the package lists do not name what was asked for.
var errNoPackage = errors.New("no such package in the lists of apt")

// withLists does something with apt, and once more after refreshing apt's lists
// if it failed: they are missing on a fresh machine, and stale lists name
// packages that the mirror has replaced.
func withLists(ctx context.Context, progress Progress, do func() error) error {
	first := do()
	if first == nil || ctx.Err() != nil {
		return first
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w (as root, apt-get update may help)", first)
	}
	err := progress.step("refreshing the package lists", func() (string, error) {
		_, err := apt(ctx, "", "apt-get", "update", "-q")
		return "", err
	})
	if err != nil {
		return errors.Join(first, err)
	}
	return do()
}

// kernelPackage returns the package of the newest cloud kernel of a series: what
// the meta-package of that series, or else that of the release, depends on.
func kernelPackage(ctx context.Context, series string) (string, error) {
	var found []string
	for _, meta := range []string{"linux-image-" + series + "-cloud-amd64", "linux-image-cloud-amd64"} {
		record, err := apt(ctx, "", "apt-cache", "show", "--no-all-versions", meta)
		if ctx.Err() != nil {
			return "", err
		}
		if err != nil {
			continue // not every release has both
		}
		for _, name := range dependencies(record) {
			if strings.HasPrefix(name, "linux-image-"+series+".") {
				return name, nil
			}
			found = append(found, name)
		}
	}
	if len(found) > 0 {
		return "", fmt.Errorf("kernel %s: %w, which have %s: choose another kernel", series, errNoPackage, strings.Join(found, ", "))
	}
	return "", fmt.Errorf("kernel %s: %w: neither linux-image-%s-cloud-amd64 nor linux-image-cloud-amd64, which are Debian's", series, errNoPackage, series)
}

// dependencies returns the names in the Depends field of a package's record.
func dependencies(record string) []string {
	var names []string
	for line := range strings.Lines(record) {
		list, ok := strings.CutPrefix(line, "Depends:")
		if !ok {
			continue
		}
		for item := range strings.SplitSeq(list, ",") {
			if fields := strings.Fields(item); len(fields) > 0 {
				names = append(names, fields[0])
			}
		}
	}
	return names
}

// apt runs a program of apt or dpkg in dir and returns its output. Its error
// has the last lines that the program wrote.
func apt(ctx context.Context, dir string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l")
	var stdout bytes.Buffer
	said := newTail(4 << 10)
	cmd.Stdout, cmd.Stderr = &stdout, said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", fmt.Errorf("running %s: %w%s", strings.Join(argv, " "), err, said.quote(8))
	}
	return stdout.String(), nil
}
