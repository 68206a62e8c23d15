package director

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/control"
)

func TestChecksOfARealServerWithTheirHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		n := alone(t, func(n *node) {
			n.history = map[string][]healthcheck.Record{web1: {
				{First: now, Last: now.Add(time.Minute), Count: 7, Failed: true, Status: healthcheck.Down, Reason: "timeout", Detail: "a", Output: "b", Longest: time.Second},
				{First: now, Last: now, Count: 1, Status: healthcheck.Down, Reason: "out of resources"},
			}}
		})
		defer n.end()
		settle(time.Second)
		n.judge(web1, healthcheck.Down)
		settle(time.Second)
		report, err := n.director.Checks(t.Context(), "192.0.2.11")
		if err != nil || len(report.Checks) != 1 || report.Unknown != "" {
			t.Fatalf("report %+v (%v), want one check", report, err)
		}
		c := report.Checks[0]
		if c.Target != web1 || c.Health != "down" || len(c.Services) != 1 || c.Services[0] != "web" || c.Checked == nil {
			t.Errorf("check %+v", c)
		}
		want := []control.CheckRecord{
			{First: now, Last: now.Add(time.Minute), Count: 7, Outcome: "failed", Health: "down", Reason: "timeout", Detail: "a", Output: "b", Longest: control.Of(time.Second)},
			{First: now, Last: now, Count: 1, Outcome: "could not be made", Health: "down", Reason: "out of resources"},
		}
		if d := cmp.Diff(want, c.History); d != "" {
			t.Errorf("history (-want +got):\n%s", d)
		}
		if _, err := n.director.Checks(t.Context(), "192.0.2.11:80"); err != nil {
			t.Errorf("with its port: %v", err)
		}
		for _, real := range []string{"192.0.2.11:81", "192.0.2.99", "web", ""} {
			if _, err := n.director.Checks(t.Context(), real); !errors.Is(err, control.ErrInvalid) {
				t.Errorf("of %q: error %v, want %v", real, err, control.ErrInvalid)
			}
		}
	})
}

func TestChecksWithoutACheckerSayThatTheirHistoryIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		report, err := n.director.Checks(t.Context(), "192.0.2.11")
		if err != nil || report.Unknown == "" || len(report.Checks) != 1 || report.Checks[0].Health != "up" {
			t.Errorf("report %+v (%v), want what is believed, and an unknown history", report, err)
		}
	})
}
