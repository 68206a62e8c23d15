package director

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/internal/config"
)

func TestChanges(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*config.Config)
		want   []string
	}{
		"nothing":         {func(*config.Config) {}, nil},
		"priority":        {func(c *config.Config) { c.VRRP[0].Priority = 90 }, []string{`virtual router "edge": Priority: 90, was 150`}},
		"service removed": {func(c *config.Config) { c.Services = nil }, []string{`service "web" removed`}},
		"router added": {func(c *config.Config) { c.VRRP = append(c.VRRP, config.VRRP{Name: "inside"}) },
			[]string{`virtual router "inside" added`}},
		"check gone": {func(c *config.Config) { c.Services[0].Checks = nil },
			[]string{`service "web": Checks: none, was [tcp every 2s (in doubt 0s, down 0s, steady 0s), timeout 1s, rise 2, fall 3, no flap damping]`}},
		"server replaced": {func(c *config.Config) { c.Services[0].Real[1].Address = netip.MustParseAddr("192.0.2.13") },
			[]string{`service "web": real server 192.0.2.13 added`, `service "web": real server 192.0.2.12 removed`}},
	} {
		next := pairConfig("lvs1")
		c.change(next)
		if got := Changes(pairConfig("lvs1"), next); !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
