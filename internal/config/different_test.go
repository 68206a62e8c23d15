package config

import (
	"slices"
	"strings"
	"testing"
)

// TestDifferent names what two configurations do not have in common, whichever way
// they were loaded.
func TestDifferent(t *testing.T) {
	names := func(services []Service) string {
		var all []string
		for _, s := range services {
			all = append(all, s.Name)
		}
		return strings.Join(all, " ")
	}
	one, two, three := againService(1), againService(2), againService(3)
	for name, c := range map[string]struct{ after, was, now string }{
		"nothing":        {one + two, "", ""},
		"a weight":       {one + strings.Replace(two, "weight = 1", "weight = 2", 1), "s2", "s2"},
		"the order":      {two + one, "", ""},
		"one more":       {one + three + two, "", "s3"},
		"one less":       {one, "s2", ""},
		"another":        {one + three, "s2", "s3"},
		"order, changed": {strings.Replace(two, "weight = 1", "weight = 2", 1) + one, "s2", "s2"},
	} {
		t.Run(name, func(t *testing.T) {
			old, err := loadSources(textsOf(againHead+one+two), testHost())
			if err != nil {
				t.Fatal(err)
			}
			whole, err := loadSources(textsOf(againHead+c.after), testHost())
			if err != nil {
				t.Fatal(err)
			}
			next := []*Config{whole}
			if part, ok := loadChanged(textsOf(againHead+c.after), testHost(), old); ok {
				next = append(next, part)
			}
			built := *whole // by a test
			built.parts, built.Services = nil, slices.Clone(whole.Services)
			for _, n := range append(next, &built) {
				if was, now := Different(old, n); names(was) != c.was || names(now) != c.now {
					t.Errorf("different: %q and %q, want %q and %q", names(was), names(now), c.was, c.now)
				}
			}
		})
	}
}
