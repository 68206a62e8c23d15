package config

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// defaultInterface names the interface of this network namespace's default route,
// of IPv4 or else of IPv6, from the kernel's tables: no program is run.
func defaultInterface() (string, error) {
	text, err := os.ReadFile("/proc/thread-self/net/route")
	if err != nil {
		return "", fmt.Errorf("finding the default route: %w", err)
	}
	name, err := parseRoutes(string(text))
	if !errors.Is(err, errNoDefaultRoute) {
		return name, err
	}
	// A kernel without IPv6 has no such file.
	if text, err := os.ReadFile("/proc/thread-self/net/ipv6_route"); err == nil {
		return parseRoutes6(string(text))
	}
	return "", err
}

// errNoDefaultRoute is the answer of a host without one.
var errNoDefaultRoute = errors.New("this host has no default route")

const (
	routeUp     = 0x1
	routeReject = 0x200
)

// parseRoutes finds the default route with the lowest metric in the format of
// /proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask ….
func parseRoutes(text string) (string, error) {
	best, lowest := "", uint64(0)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		flags, err := strconv.ParseUint(f[3], 16, 32)
		if err != nil || flags&routeUp == 0 || flags&routeReject != 0 {
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

// parseRoutes6 is parseRoutes for the format of /proc/net/ipv6_route: destination,
// its length, source, its length, gateway, metric, references, use, flags, interface.
func parseRoutes6(text string) (string, error) {
	best, lowest := "", uint64(0)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 10 || strings.Trim(f[0], "0") != "" || f[1] != "00" || f[3] != "00" {
			continue
		}
		metric, err := strconv.ParseUint(f[5], 16, 32)
		if err != nil {
			continue
		}
		flags, err := strconv.ParseUint(f[8], 16, 32)
		if err != nil || flags&routeUp == 0 || flags&routeReject != 0 {
			continue
		}
		if best == "" || metric < lowest {
			best, lowest = f[9], metric
		}
	}
	if best == "" {
		return "", errNoDefaultRoute
	}
	return best, nil
}
