package config

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// defaultInterface names the interface of this network namespace's IPv4 default
// route, from the kernel's table: no program is run.
func defaultInterface() (string, error) {
	text, err := os.ReadFile("/proc/thread-self/net/route")
	if err != nil {
		return "", fmt.Errorf("finding the default route: %w", err)
	}
	return parseRoutes(string(text))
}

// errNoDefaultRoute is the answer of a host without one.
var errNoDefaultRoute = errors.New("this host has no IPv4 default route")

// parseRoutes finds the default route with the lowest metric in the format of
// /proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask ….
func parseRoutes(text string) (string, error) {
	const (
		up     = 0x1
		reject = 0x200
	)
	best, lowest := "", uint64(0)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		flags, err := strconv.ParseUint(f[3], 16, 32)
		if err != nil || flags&up == 0 || flags&reject != 0 {
			continue
		}
		metric, err := strconv.ParseUint(f[6], 10, 32)
		if err != nil {
			continue
		}
		if best == "" || metric < lowest {
			best, lowest = f[0], metric
		}
	}
	if best == "" {
		return "", errNoDefaultRoute
	}
	return best, nil
}
