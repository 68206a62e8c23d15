// Package testenv says what a test may count on: privileges, kernel features
// and network namespaces of its own.
//
// A test that lacks what it needs skips, and the skip says what is missing.
// The environment variable HALDIR_TEST_REQUIRE lists, separated by commas, the
// needs that must be there ("root", "ipvs"): lacking one of those is a failure,
// so that a continuous-integration run cannot pass by skipping.
package testenv

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// requireVariable names the environment variable that turns skips into failures.
const requireVariable = "HALDIR_TEST_REQUIRE"

// lack skips the test, or fails it where the need is required.
func lack(tb testing.TB, need, what string) {
	tb.Helper()
	if Required(need) {
		tb.Fatalf("%s is required here (%s=%s): %s", need, requireVariable, os.Getenv(requireVariable), what)
	}
	tb.Skipf("needs %s: %s", need, what)
}

// Required reports whether HALDIR_TEST_REQUIRE lists need.
func Required(need string) bool {
	return slices.Contains(strings.Split(os.Getenv(requireVariable), ","), need)
}

// Root skips the test unless it runs with user id 0.
func Root(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		lack(tb, "root", "the effective user id is not 0")
	}
}

// IPVS skips the test unless it runs as root on a kernel that has ip_vs, built
// in or loaded. The guest kernel of the lab always has it.
func IPVS(tb testing.TB) {
	tb.Helper()
	Root(tb)
	if _, err := os.Stat("/proc/net/ip_vs"); err != nil {
		lack(tb, "ipvs", "this kernel has no ip_vs (no /proc/net/ip_vs)")
	}
}
