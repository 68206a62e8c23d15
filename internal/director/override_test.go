package director

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// severalPorts is a NAT service with two real servers on one address.
func severalPorts() *config.Config {
	c := pairConfig("lvs1")
	s := &c.Services[0]
	s.Forward = "nat"
	s.Real = []config.Real{
		{Address: netip.MustParseAddr("10.0.0.1"), Port: 81, Weight: 1},
		{Address: netip.MustParseAddr("10.0.0.1"), Port: 82, Weight: 1},
		{Address: netip.MustParseAddr("10.0.0.2"), Port: 81, Weight: 1},
		{Address: netip.MustParseAddr("10.0.0.3"), Weight: 1},
	}
	return c
}

func TestRealServersAreFoundAsPeopleNameThem(t *testing.T) {
	c := severalPorts()
	for name, want := range map[string]string{
		"10.0.0.1:82": "10.0.0.1:82",
		"10.0.0.2":    "10.0.0.2:81",
		"10.0.0.3":    "10.0.0.3",
		"10.0.0.3:80": "10.0.0.3", // as the status shows it
		"10.0.0.1":    `service "web" has several real servers 10.0.0.1; name one of: 10.0.0.1:81, 10.0.0.1:82, 10.0.0.2:81, 10.0.0.3`,
		"10.0.0.3:81": `service "web" has no real server 10.0.0.3:81; it has: `,
		"web1":        `service "web" has no real server web1; it has: `,
		"":            `service "web" has no real server ; it has: `,
	} {
		_, real, err := findReal(c, "web", name)
		if got := real.String(); err == nil && got != want || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q is %s (%v), want %s", name, got, err, want)
		}
	}
	if _, _, err := findReal(c, "mail", "10.0.0.3"); err == nil || err.Error() != `there is no service "mail"; there are: web` {
		t.Errorf("a service that is not there: %v", err)
	}
}

func TestOrders(t *testing.T) {
	c := pairConfig("lvs1")
	c.Services[0].Pool.Drain = time.Minute
	var all overrides
	give := func(wantChange bool, order control.Order) {
		t.Helper()
		order.Service, order.Real = "web", "192.0.2.11"
		next, changed, err := all.obey(c, order, "alice", noon)
		if err != nil || changed != wantChange {
			t.Errorf("%s: changed %v, %v; want %v", order.Action, changed, err, wantChange)
		}
		all = next
	}
	want := func(list ...control.Override) {
		t.Helper()
		if got := all.of("web", c.Services[0].Real[0]); !reflect.DeepEqual(got, list) {
			t.Errorf("overrides %+v, want %+v", got, list)
		}
		if other := all.of("web", c.Services[0].Real[1]); other != nil {
			t.Errorf("the other server has %+v", other)
		}
	}
	drain := control.Override{What: "drain", By: "alice", At: noon, Reason: "disk", Until: noon.Add(time.Minute)}
	weight := control.Override{What: "weight", Weight: 7, By: "alice", At: noon}

	give(false, control.Order{Action: "undrain"})
	give(true, control.Order{Action: "drain", Reason: "disk"})
	want(drain)
	give(true, control.Order{Action: "weight", Weight: 7})
	want(drain, weight)
	give(true, control.Order{Action: "drain", Timeout: control.Of(-time.Second)})
	want(weight, control.Override{What: "drain", By: "alice", At: noon})
	give(true, control.Order{Action: "undrain"})
	want(weight)
	give(true, control.Order{Action: "disable"})
	want(weight, control.Override{What: "disable", By: "alice", At: noon})
	give(true, control.Order{Action: "configured"})
	give(true, control.Order{Action: "enable"})
	give(false, control.Order{Action: "enable"})
	if len(all) != 0 {
		t.Errorf("left over: %+v", all)
	}
}

func TestOrdersThatAreWrongChangeNothing(t *testing.T) {
	c := pairConfig("lvs1")
	all := overrides{{Service: "web", Real: "192.0.2.11", Override: control.Override{What: "disable"}}}
	for name, order := range map[string]control.Order{
		"there is no service": {Service: "mail", Real: "192.0.2.11", Action: "drain"},
		"has no real server":  {Service: "web", Real: "192.0.2.13", Action: "drain"},
		"unknown action":      {Service: "web", Real: "192.0.2.11", Action: "destroy"},
		"out of range":        {Service: "web", Real: "192.0.2.11", Action: "weight", Weight: 65536},
	} {
		next, changed, err := all.obey(c, order, "", noon)
		if err == nil || !strings.Contains(err.Error(), name) || changed || len(next) != 1 {
			t.Errorf("%s: %v, changed %v to %+v", name, err, changed, next)
		}
	}
}

func TestOverridesOfWhatIsNotConfiguredAreDropped(t *testing.T) {
	by := control.Override{What: "disable", By: "alice"}
	all := overrides{{"web", "192.0.2.11", by}, {"web", "192.0.2.13", by}, {"mail", "192.0.2.11", by}, {"web", "192.0.2.12:80", by}}
	kept, dropped := all.drop(pairConfig("lvs1"))
	if len(kept) != 1 || kept[0].Real != "192.0.2.11" || len(dropped) != 3 {
		t.Fatalf("kept %+v, dropped %q", kept, dropped)
	}
	if want := `override dropped: disabled of real server 192.0.2.13 of service "web" by alice is of nothing that is configured`; dropped[0] != want {
		t.Errorf("said %q, want %q", dropped[0], want)
	}
}

func TestDrainEnds(t *testing.T) {
	c := pairConfig("lvs1")
	key := destKey(c.Services[0].Real[0], c.Services[0].Listen[0])
	live := func(weight, active, inactive uint32) ipvsctl.LiveTable {
		return ipvsctl.LiveTable{{
			Service: ipvsctl.Service{Key: webKey},
			Dests:   []ipvsctl.LiveDest{{Dest: ipvsctl.Dest{Key: key, Weight: weight}, ActiveConns: active, InactiveConns: inactive}},
		}}
	}
	bare := ipvsctl.LiveTable{{Service: ipvsctl.Service{Key: webKey}}}
	for name, test := range map[string]struct {
		reading reading
		roles   map[string]Role
		after   time.Duration
		ended   bool
		left    uint32
	}{
		"connections left":          {reading{live(0, 1, 0), true}, master(), time.Second, false, 0},
		"closing connections left":  {reading{live(0, 0, 1), true}, master(), time.Second, false, 0},
		"weight 0 is not there yet": {reading{live(1, 0, 0), true}, master(), time.Second, false, 0},
		"none left":                 {reading{live(0, 0, 0), true}, master(), time.Second, true, 0},
		"no entry":                  {reading{bare, true}, master(), time.Second, true, 0},
		"no service":                {reading{nil, true}, master(), time.Second, false, 0},
		"nothing was read":          {reading{}, master(), time.Second, false, 0},
		"no role":                   {reading{live(0, 0, 0), true}, nil, time.Second, false, 0},
		"deadline":                  {reading{live(0, 2, 3), true}, master(), time.Minute, true, 5},
		"deadline without a role":   {reading{live(0, 2, 3), true}, nil, time.Minute, true, 0},
		"deadline without reading":  {reading{}, master(), time.Minute, true, 0},
	} {
		all := overrides{{"web", "192.0.2.11", control.Override{What: "drain", At: noon, Until: noon.Add(time.Minute)}}}
		now := noon.Add(test.after)
		next, changed := all.ended(c, test.reading, test.roles, now)
		if o := next[0]; changed != test.ended || !o.Ended.IsZero() != test.ended || o.Left != test.left {
			t.Errorf("%s: changed %v to %+v, want an end: %v with %d connections left", name, changed, o, test.ended, test.left)
		}
		if !all[0].Ended.IsZero() {
			t.Errorf("%s: what held before was changed", name)
		}
	}
}

func TestOrdersHoldForServersThatAreNotChecked(t *testing.T) {
	c := pairConfig("lvs1")
	c.Services[0].Checks = nil
	all := overrides{{"web", "192.0.2.12", control.Override{What: "disable"}}}
	if d := Compute(Inputs{Config: c, Roles: master(), Overrides: all, Now: noon}).Table[0].Dests; len(d) != 1 {
		t.Errorf("destinations %+v, want the other server alone", d)
	}
}

func TestDrainedServersLeaveTheTableWhenTheDrainEnds(t *testing.T) {
	in := Inputs{Config: pairConfig("lvs1"), Roles: master(), Health: up(web1, web2), Now: noon}
	weights := func() map[string]uint32 {
		out := make(map[string]uint32)
		for _, d := range Compute(in).Table[0].Dests {
			out[d.Key.Address.String()] = d.Weight
		}
		return out
	}
	override := func(o control.Override) { in.Overrides = overrides{{"web", "192.0.2.12", o}} }
	for _, test := range []struct {
		override control.Override
		want     map[string]uint32
	}{
		{control.Override{What: "drain"}, map[string]uint32{"192.0.2.11": 1, "192.0.2.12": 0}},
		{control.Override{What: "drain", Ended: noon}, map[string]uint32{"192.0.2.11": 1}},
		{control.Override{What: "disable"}, map[string]uint32{"192.0.2.11": 1}},
		{control.Override{What: "weight", Weight: 9}, map[string]uint32{"192.0.2.11": 1, "192.0.2.12": 9}},
	} {
		override(test.override)
		if got := weights(); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: weights %v, want %v", test.override, got, test.want)
		}
	}
}
