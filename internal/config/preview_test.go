package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPreview(t *testing.T) {
	ms := func(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }
	c := &Config{VRRP: []VRRP{
		{Name: "pair", Interval: time.Second, Preempt: true, Priorities: Priorities{ByNode: map[string]uint8{"a": 100, "b": 200}}},
		{Name: "equal", Interval: 100 * time.Millisecond, Priorities: Priorities{ByNode: map[string]uint8{"a": 192, "b": 192, "c": 64}}},
		{Name: "number", Interval: 2560 * time.Millisecond, Priorities: Priorities{All: 128}},
		{Name: "alone", Interval: time.Second, Priorities: Priorities{ByNode: map[string]uint8{"c": 255}}},
	}}
	want := []Preview{
		{VRRP: "pair", Interval: time.Second, Preempt: true, Winner: "b", Nodes: []NodePreview{
			{Node: "b", Priority: 200, Skew: ms(218.75), MasterDown: ms(3218.75), Takes: true, Taker: "a", Crash: ms(3609.375), Planned: ms(609.375)},
			{Node: "a", Priority: 100, Skew: ms(609.375), MasterDown: ms(3609.375), Takes: true, Taker: "b", Crash: ms(3218.75), Planned: ms(218.75)},
		}},
		{VRRP: "equal", Interval: 100 * time.Millisecond, Nodes: []NodePreview{
			{Node: "a", Priority: 192, Skew: ms(25), MasterDown: ms(325), Takes: true, Taker: "b", Crash: ms(325), Planned: ms(25)},
			{Node: "b", Priority: 192, Skew: ms(25), MasterDown: ms(325), Takes: true, Taker: "a", Crash: ms(325), Planned: ms(25)},
			{Node: "c", Priority: 64, Skew: ms(75), MasterDown: ms(375), Takes: true, Taker: "", Crash: ms(325), Planned: ms(25)},
		}},
		{VRRP: "number", Interval: 2560 * time.Millisecond, Nodes: []NodePreview{
			{Node: "a", Priority: 128, Skew: ms(1280), MasterDown: ms(8960), Takes: true, Crash: ms(8960), Planned: ms(1280)},
			{Node: "b", Priority: 128, Skew: ms(1280), MasterDown: ms(8960), Takes: true, Crash: ms(8960), Planned: ms(1280)},
			{Node: "c", Priority: 128, Skew: ms(1280), MasterDown: ms(8960), Takes: true, Crash: ms(8960), Planned: ms(1280)},
		}},
		{VRRP: "alone", Interval: time.Second, Winner: "c", Nodes: []NodePreview{
			{Node: "c", Priority: 255, Skew: ms(3.90625), MasterDown: ms(3003.90625)},
		}},
	}
	for i := range want {
		for j := range want[i].Nodes {
			node := &want[i].Nodes[j]
			node.Stakes = Stakes{Low: node.Priority, High: node.Priority, Healthy: node.Priority}
		}
	}
	if diff := cmp.Diff(want, c.Preview()); diff != "" {
		t.Errorf("preview differs (-want +got):\n%s", diff)
	}

	// One number for all and no name known: a peer of the same priority is assumed.
	unnamed := &Config{VRRP: c.VRRP[2:3]}
	wantUnnamed := []Preview{{VRRP: "number", Interval: 2560 * time.Millisecond, Nodes: []NodePreview{
		{Priority: 128, Skew: ms(1280), MasterDown: ms(8960), Takes: true, Crash: ms(8960), Planned: ms(1280), Stakes: Stakes{Low: 128, High: 128, Healthy: 128}},
	}}}
	if diff := cmp.Diff(wantUnnamed, unnamed.Preview()); diff != "" {
		t.Errorf("preview without names differs (-want +got):\n%s", diff)
	}
}
