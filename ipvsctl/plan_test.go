package ipvsctl_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

func texts(ops []ipvsctl.Op) []string {
	var all []string
	for _, op := range ops {
		all = append(all, op.String())
	}
	return all
}

func ownsAll(ipvsctl.ServiceKey) bool { return true }

func TestPlan(t *testing.T) {
	d1 := ipvsctl.Dest{Key: destKey("198.51.100.1:80"), Weight: 1}
	d2 := ipvsctl.Dest{Key: destKey("198.51.100.2:80"), Weight: 1}
	heavy := d1
	heavy.Weight = 5
	a := ipvsctl.Service{Key: tcp("192.0.2.1:80"), Scheduler: "rr", Dests: []ipvsctl.Dest{d1}}
	b := ipvsctl.Service{Key: tcp("192.0.2.2:80"), Scheduler: "rr", Dests: []ipvsctl.Dest{d1}}
	change := func(s ipvsctl.Service, fn func(*ipvsctl.Service)) ipvsctl.Table {
		fn(&s)
		return ipvsctl.Table{s}
	}
	dests := func(list ...ipvsctl.Dest) ipvsctl.Table {
		return change(a, func(s *ipvsctl.Service) { s.Dests = list })
	}
	for name, c := range map[string]struct {
		desired ipvsctl.Table
		actual  ipvsctl.LiveTable
		owned   func(ipvsctl.ServiceKey) bool
		want    []string
	}{
		"nothing to do": {ipvsctl.Table{a, b}, liveOf(ipvsctl.Table{a, b}), ownsAll, nil},
		"each service before its destinations": {ipvsctl.Table{b, a}, nil, ownsAll, []string{
			"adding service tcp 192.0.2.1:80",
			"adding destination 198.51.100.1:80 to service tcp 192.0.2.1:80",
			"adding service tcp 192.0.2.2:80",
			"adding destination 198.51.100.1:80 to service tcp 192.0.2.2:80",
		}},
		"additions before deletions": {ipvsctl.Table{b}, liveOf(ipvsctl.Table{a}), ownsAll, []string{
			"adding service tcp 192.0.2.2:80",
			"adding destination 198.51.100.1:80 to service tcp 192.0.2.2:80",
			"deleting service tcp 192.0.2.1:80",
		}},
		"a destination is replaced by adding first": {dests(d2), liveOf(dests(d1)), ownsAll, []string{
			"adding destination 198.51.100.2:80 to service tcp 192.0.2.1:80",
			"deleting destination 198.51.100.1:80 from service tcp 192.0.2.1:80",
		}},
		"destinations are deleted before services": {dests(), liveOf(ipvsctl.Table{a, b}), ownsAll, []string{
			"deleting destination 198.51.100.1:80 from service tcp 192.0.2.1:80",
			"deleting service tcp 192.0.2.2:80",
		}},
		"additions before updates within a service": {dests(heavy, d2), liveOf(dests(d1)), ownsAll, []string{
			"adding destination 198.51.100.2:80 to service tcp 192.0.2.1:80",
			"updating destination 198.51.100.1:80 of service tcp 192.0.2.1:80",
		}},
		"a weight is changed in place":     {dests(heavy), liveOf(dests(d1)), nil, []string{"updating destination 198.51.100.1:80 of service tcp 192.0.2.1:80"}},
		"a scheduler is changed in place":  {change(a, func(s *ipvsctl.Service) { s.Scheduler = "mh" }), liveOf(ipvsctl.Table{a}), nil, []string{"updating service tcp 192.0.2.1:80"}},
		"persistence is changed in place":  {change(a, func(s *ipvsctl.Service) { s.Persistence = time.Minute }), liveOf(ipvsctl.Table{a}), nil, []string{"updating service tcp 192.0.2.1:80"}},
		"an engine is taken away in place": {change(a, func(s *ipvsctl.Service) { s.Persistence = time.Minute }), liveOf(change(a, func(s *ipvsctl.Service) { s.Persistence, s.Engine = time.Minute, "sip" })), nil, []string{"updating service tcp 192.0.2.1:80"}},
		"what is not owned stays":          {nil, liveOf(ipvsctl.Table{a, b}), func(k ipvsctl.ServiceKey) bool { return k == b.Key }, []string{"deleting service tcp 192.0.2.2:80"}},
		"nil owns nothing":                 {nil, liveOf(ipvsctl.Table{a, b}), nil, nil},
		"a desired service is adopted even if not owned": {dests(d2), liveOf(dests(d1)), nil, []string{
			"adding destination 198.51.100.2:80 to service tcp 192.0.2.1:80",
			"deleting destination 198.51.100.1:80 from service tcp 192.0.2.1:80",
		}},
		"defaults are no difference": {
			change(a, func(s *ipvsctl.Service) { s.Scheduler, s.Persistence, s.PersistencePrefix = "", time.Minute, 0 }),
			liveOf(change(a, func(s *ipvsctl.Service) { s.Scheduler, s.Persistence, s.PersistencePrefix = "wlc", time.Minute, 32 })), nil, nil},
		"the prefix means nothing without persistence": {ipvsctl.Table{a}, liveOf(change(a, func(s *ipvsctl.Service) { s.PersistencePrefix = 24 })), nil, nil},
		"the first of two entries with one key counts": {ipvsctl.Table{a, change(a, func(s *ipvsctl.Service) { s.Scheduler = "sh" })[0]}, liveOf(ipvsctl.Table{a}), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, texts(ipvsctl.Plan(c.desired, c.actual, c.owned))); diff != "" {
				t.Errorf("unexpected plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlanOverwritesWhatServiceCannotExpress(t *testing.T) {
	table := ipvstest.Pools(1, 1)
	live := liveOf(table)
	live[0].Irregular = "persistence netmask 0.255.255.255"
	want := []string{"updating service tcp 10.0.0.1:80"}
	if diff := cmp.Diff(want, texts(ipvsctl.Plan(table, live, nil))); diff != "" {
		t.Errorf("unexpected plan (-want +got):\n%s", diff)
	}
}

func TestPlanTakesUnsortedInputAndLeavesItAlone(t *testing.T) {
	live := liveOf(ipvstest.Pools(3, 3))
	slices.Reverse(live)
	slices.Reverse(live[1].Dests)
	first, firstDest := live[0].Key, live[1].Dests[0].Key
	if ops := ipvsctl.Plan(ipvstest.Pools(3, 3), live, ownsAll); len(ops) != 0 {
		t.Errorf("Plan = %v, want nothing", ops)
	}
	if live[0].Key != first || live[1].Dests[0].Key != firstDest {
		t.Error("Plan sorted its argument")
	}
}

func TestForeign(t *testing.T) {
	table := ipvstest.Pools(4, 1)
	got := ipvsctl.Foreign(table[1:2], liveOf(table), func(k ipvsctl.ServiceKey) bool { return k == table[2].Key })
	want := []ipvsctl.ServiceKey{table[0].Key, table[3].Key}
	if diff := cmp.Diff(want, got, comparer); diff != "" {
		t.Errorf("unexpected foreign services (-want +got):\n%s", diff)
	}
}

func BenchmarkPlan(b *testing.B) {
	table := ipvstest.Pools(10000, 4)
	live := liveOf(table)
	changed := slices.Clone(table)
	changed[5000].Dests = slices.Clone(changed[5000].Dests)
	changed[5000].Dests[2].Weight++
	for _, c := range []struct {
		name   string
		table  ipvsctl.Table
		actual ipvsctl.LiveTable
		want   int
	}{
		{"from nothing", table, nil, 50000},
		{"one weight", changed, live, 1},
		{"no change", table, live, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ops := ipvsctl.Plan(c.table, c.actual, nil); len(ops) != c.want {
					b.Fatalf("%d operations, want %d", len(ops), c.want)
				}
			}
		})
	}
}
