package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/vrrp"
)

// TestPreviewTiming checks the preview against the timers of the protocol.
func TestPreviewTiming(t *testing.T) {
	for _, version := range []uint8{2, 3} {
		checkPreviewTiming(t, version)
	}
}

func checkPreviewTiming(t *testing.T, version uint8) {
	t.Helper()
	for _, interval := range []time.Duration{vrrp.MinInterval, 100 * time.Millisecond, time.Second, vrrp.MaxInterval} {
		for priority := 1; priority <= 255; priority++ {
			priority := uint8(priority)
			c := config.Config{VRRP: []config.VRRP{{
				Version:    version,
				Interval:   interval,
				Priorities: config.Priorities{ByNode: map[string]uint8{"a": priority}},
			}}}
			got := c.Preview()[0].Nodes[0]
			router := vrrp.RouterConfig{Version: version, Priority: priority, Interval: interval}
			if want := router.SkewTime(interval); got.Skew != want {
				t.Errorf("version %d, priority %d, interval %v: skew %v, want %v", version, priority, interval, got.Skew, want)
			}
			if want := router.MasterDownInterval(interval); got.MasterDown != want {
				t.Errorf("version %d, priority %d, interval %v: down interval %v, want %v", version, priority, interval, got.MasterDown, want)
			}
		}
	}
}

// TestWarningsOfTheProtocol checks that what package vrrp warns of is warned of here.
func TestWarningsOfTheProtocol(t *testing.T) {
	path := filepath.Join(t.TempDir(), "haldir.toml")
	text := "[[vrrp]]\nname = \"edge\"\ninterface = \"eth0\"\nrouter_id = 51\nversion = 2\nauthentication = \"s3cret\"\naddresses = [\"192.0.2.100/24\"]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Warnings {
		got = append(got, w.Message)
	}
	router := vrrp.RouterConfig{Version: 2, Authentication: "s3cret"}
	if want := router.Warnings(); !slices.Equal(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
}
