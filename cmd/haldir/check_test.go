package main

import (
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/internal/config"
)

func TestStakesArePrintedForEachNode(t *testing.T) {
	var out strings.Builder
	printStakes(&out, config.Preview{Nodes: []config.NodePreview{
		{Node: "lvs1", Priority: 150, Stakes: config.Stakes{Low: 90, High: 150, Out: true, Worst: []config.TrackerStake{
			{Tracker: "interface eth1", Effect: "out"}, {Tracker: "process named", Effect: "-60"},
		}}},
		{Priority: 255, Stakes: config.Stakes{Low: 255, High: 255, Worst: []config.TrackerStake{{Tracker: "process named", Effect: "nothing"}}}},
	}})
	want := `  node          base  by trackers      if down
  lvs1          150   90..150, or out  interface eth1: out; process named: -60
  (every node)  255   255              process named: nothing
`
	if out.String() != want {
		t.Errorf("printed:\n%swant:\n%s", out.String(), want)
	}
	out.Reset()
	if printStakes(&out, config.Preview{Nodes: []config.NodePreview{{Node: "lvs1"}}}); out.String() != "" {
		t.Errorf("without trackers:\n%s", out.String())
	}
}
