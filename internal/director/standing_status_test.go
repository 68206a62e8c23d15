package director

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/netif"
)

func TestStatusShowsTrackersAndWhatTheyDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := trackingPair(t, uplink, weighted(scripted, -20))
		defer one.end()
		defer two.end()
		next := notifying(tracking("lvs1", uplink, weighted(scripted, -20)))
		one.file(next, nil)
		if _, err := one.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		one.judge(scripted.Target(), healthcheck.Down)
		settle(500 * time.Millisecond)
		look := func() (control.Status, control.RouterStatus) {
			s, err := one.director.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return s, s.Routers[0]
		}
		want := func(problem string, there bool) {
			t.Helper()
			s, _ := look()
			if slices.Contains(s.Problems, problem) != there {
				t.Errorf("problems %q: has %q: %v, want %v", s.Problems, problem, !there, there)
			}
		}
		_, r := look()
		if r.Priority != 130 || r.BasePriority != 150 || r.PriorityReason != "script /uplink down: -20" {
			t.Errorf("priority %d of %d because of %q", r.Priority, r.BasePriority, r.PriorityReason)
		}
		if len(r.Trackers) != 2 || r.Trackers[0].State != "up" || r.Trackers[0].Effect != "" || r.Trackers[0].Since.IsZero() {
			t.Fatalf("trackers %+v", r.Trackers)
		}
		if got := r.Trackers[1]; got.State != "down" || got.Effect != "-20" || !got.Since.Equal(begin) || got.Checked == nil || *got.Checked != 500 || got.Weight != -20 {
			t.Errorf("tracker %+v, checked %v", got, got.Checked)
		}
		if n := r.Notified; n == nil || n.State != "master" || n.Took == nil || n.Problem != "" {
			t.Errorf("notified %+v", n)
		}
		want(`virtual router "edge": script /uplink is down (priority 130 instead of 150)`, true)

		one.director.event(netif.Event{Kind: netif.LinkDown, Link: link("eth1")})
		settle(10 * time.Millisecond)
		if _, r = look(); r.Ineligible != "tracker down" || r.Trackers[0].Effect != "not eligible" {
			t.Errorf("ineligible %q, tracker %+v", r.Ineligible, r.Trackers[0])
		}
		want(`virtual router "edge": interface eth1 is down: not eligible`, true)
		one.director.event(netif.Event{Kind: netif.LinkUp, Link: link("eth1")})
		one.judge(scripted.Target(), healthcheck.Up)
		settle(10 * time.Millisecond)
		want(`virtual router "edge": interface eth1 is down: not eligible`, false)
		want(`virtual router "edge": script /uplink is down (priority 130 instead of 150)`, false)
	})
}

func TestStatusShowsWhatIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) {
			n.config = tracking("lvs1", scripted)
			n.config.SyncGroups = []config.SyncGroup{{Name: "both", Members: []string{"edge", "inside"}, Track: []config.Tracker{uplink}}}
		})
		defer n.end()
		settle(time.Second)
		v := healthcheck.Verdict{ID: scripted.Target(), Status: healthcheck.Unknown, Reason: healthcheck.ReasonCannot, Detail: "no such user", Warning: true}
		if err := n.atChecker.Send("verdict", v.ID, v); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Millisecond)
		s, err := n.director.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`virtual router "edge": script /uplink is not known to be up: check cannot be made, no such user`,
			`virtual router "edge": interface eth1 was not checked yet`,
		} {
			if !slices.Contains(s.Problems, want) {
				t.Errorf("problems %q, want %q", s.Problems, want)
			}
		}
		if len(s.Groups) != 1 || s.Groups[0].Name != "both" {
			t.Errorf("groups %+v", s.Groups)
		}
	})
}
