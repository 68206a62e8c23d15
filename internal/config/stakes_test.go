package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	required = Tracker{Kind: TrackInterface, Subject: "eth1"}
	number   = Tracker{Kind: TrackNumber, Subject: "/shift"}
)

func preferred(weight int) Tracker {
	return Tracker{Kind: TrackProcess, Subject: "named", Weight: weight}
}

func TestStakes(t *testing.T) {
	for _, test := range []struct {
		base     uint8
		trackers []Tracker
		want     Stakes
	}{
		{150, nil, Stakes{Low: 150, High: 150, Healthy: 150}},
		{150, []Tracker{required}, Stakes{Low: 150, High: 150, Healthy: 150, Out: true, Worst: []TrackerStake{{"interface eth1", "out"}}}},
		{150, []Tracker{preferred(-60)}, Stakes{Low: 90, High: 150, Healthy: 150, Worst: []TrackerStake{{"process named", "-60"}}}},
		{150, []Tracker{preferred(20)}, Stakes{Low: 150, High: 170, Healthy: 170, Worst: []TrackerStake{{"process named", "+20 while up"}}}},
		{150, []Tracker{preferred(-200), required}, Stakes{Low: 1, High: 150, Healthy: 150, Out: true,
			Worst: []TrackerStake{{"process named", "-200"}, {"interface eth1", "out"}}}},
		{150, []Tracker{number}, Stakes{Low: 1, High: 254, Healthy: 150, Out: true, Worst: []TrackerStake{{"number in /shift", "-253..+254, or out"}}}},
		{255, []Tracker{preferred(-60), required}, Stakes{Low: 255, High: 255, Healthy: 255, Out: true,
			Worst: []TrackerStake{{"process named", "nothing"}, {"interface eth1", "out"}}}},
	} {
		if diff := cmp.Diff(test.want, stakes(test.base, test.trackers)); diff != "" {
			t.Errorf("base %d, %v (-want +got):\n%s", test.base, test.trackers, diff)
		}
	}
}

// keepalived's users find out in the night that a weight was too small.
func TestTrackersThatCanDoNothingAreWarnedOf(t *testing.T) {
	table := func(a, b uint8) Priorities { return Priorities{ByNode: map[string]uint8{"lvs1": a, "lvs2": b}} }
	for _, test := range []struct {
		name       string
		priorities Priorities
		preempt    bool
		trackers   []Tracker
		want       string // in the only warning; empty: none
	}{
		{"no trackers", table(150, 100), true, nil, ""},
		{"large enough", table(150, 100), true, []Tracker{preferred(-60)}, ""},
		{"too small", table(150, 100), true, []Tracker{preferred(-20)}, "no failure can move the addresses away from lvs1: at its worst it has priority 130, and lvs2 has 100"},
		{"to a tie", table(150, 100), true, []Tracker{preferred(-50)}, "at its worst it has priority 100, and lvs2 has 100"},
		{"two are enough together", table(150, 100), true, []Tracker{preferred(-30), {Kind: TrackScript, Subject: "/x", Weight: -30}}, ""},
		{"a bonus that both have", table(150, 100), true, []Tracker{preferred(60)}, ""},
		{"a bonus too small", table(150, 100), true, []Tracker{preferred(40)}, "priority 150, and lvs2 has 140"},
		{"too small besides one that disables", table(150, 100), true, []Tracker{preferred(-20), required}, ""},
		{"no preemption", table(150, 100), false, []Tracker{preferred(-60)}, "with preempt = false no weight moves the addresses"},
		{"no preemption and no weight", table(150, 100), false, []Tracker{required}, ""},
		{"owner", table(255, 100), true, []Tracker{preferred(-200)}, "no weight changes the priority 255 of lvs1"},
		{"equal", Priorities{All: 100}, true, []Tracker{preferred(-1)}, ""},
		{"alone", Priorities{ByNode: map[string]uint8{"lvs1": 150}}, true, []Tracker{preferred(-1)}, ""},
	} {
		c := &Config{VRRP: []VRRP{{Name: "edge", Priorities: test.priorities, Preempt: test.preempt, Track: test.trackers}}}
		got := c.moot(c.VRRP[0])
		if len(got) > 1 || (test.want == "") != (len(got) == 0) || !strings.Contains(strings.Join(got, "\n"), test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// What a group or another member tracks counts too.
func TestTrackersOfAGroupAreAtStakeForAllMembers(t *testing.T) {
	c := load(t, "testdata/good/groups.toml", testHost())
	for _, p := range c.Preview() {
		if got := p.Nodes[0].Stakes; got.Low != 90 || len(got.Worst) != 1 {
			t.Errorf("%s: %+v, want the weight of the group's tracker", p.VRRP, got)
		}
	}
}

func TestWarningStandsAtTheTracker(t *testing.T) {
	text := strings.Replace(tracked, "TRACKER", `{ process = "named", weight = -20 }`, 1)
	text = strings.Replace(text, "router_id = 51", "router_id = 51\npriority = { lvs1 = 150, lvs2 = 100 }", 1)
	c := load(t, write(t, "a.toml", text), testHost())
	if len(c.Warnings) != 1 || c.Warnings[0].Line != 7 || !strings.Contains(c.Warnings[0].Message, "no failure can move") {
		t.Errorf("warnings: %v", c.Warnings)
	}
}
