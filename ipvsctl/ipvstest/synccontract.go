package ipvstest

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// SyncContract checks that what open returns behaves as ipvsctl.SyncHandle
// promises. Each call of open must return a handle without daemons and the name
// of an interface that has an address.
func SyncContract(t *testing.T, open func(t *testing.T) (ipvsctl.SyncHandle, string)) {
	for name, test := range map[string]func(*testing.T, ipvsctl.SyncHandle, string){
		"both daemons read back as started":            syncReadsBack,
		"each refusal has its reason":                  syncRefusals,
		"reconciling converges and touches ours alone": syncReconciles,
	} {
		t.Run(name, func(t *testing.T) {
			h, ifname := open(t)
			test(t, h, ifname)
			for _, d := range syncDaemons(t, h) {
				if err := h.StopSync(bounded(t), d); err != nil {
					t.Errorf("stopping %v: %v", d, err)
				}
			}
		})
	}
}

func syncDaemons(t *testing.T, h ipvsctl.SyncHandle) []ipvsctl.SyncDaemon {
	t.Helper()
	daemons, err := h.SyncDaemons(bounded(t))
	if err != nil {
		t.Fatalf("reading the daemons: %v", err)
	}
	return daemons
}

// wantSync compares what runs with what is wanted; the longest message is the
// kernel's choice.
func wantSync(t *testing.T, h ipvsctl.SyncHandle, want ...ipvsctl.SyncDaemon) {
	t.Helper()
	got := syncDaemons(t, h)
	for i := range got {
		if got[i].MaxLen == 0 {
			t.Errorf("%v does not say its longest message", got[i])
		}
		got[i].MaxLen = 0
	}
	if diff := cmp.Diff(want, got, comparer); diff != "" {
		t.Errorf("unexpected daemons (-want +got):\n%s", diff)
	}
}

// fullSync is a daemon of which no field is the default.
func fullSync(role ipvsctl.SyncRole, ifname string) ipvsctl.SyncDaemon {
	return ipvsctl.SyncDaemon{
		Role: role, Interface: ifname, ID: 200, Group: netip.MustParseAddr("239.1.2.3"), Port: 9000, TTL: 3,
	}
}

func syncReadsBack(t *testing.T, h ipvsctl.SyncHandle, ifname string) {
	wantSync(t, h)
	master := fullSync(ipvsctl.SyncMaster, ifname)
	backup := ipvsctl.SyncDaemon{Role: ipvsctl.SyncBackup, Interface: ifname}
	for _, d := range []ipvsctl.SyncDaemon{backup, master} {
		if err := h.StartSync(bounded(t), d); err != nil {
			t.Fatalf("starting %v: %v", d, err)
		}
	}
	backup.Group, backup.Port, backup.TTL = netip.MustParseAddr("224.0.0.81"), 8848, 1
	wantSync(t, h, master, backup)
	if err := h.StopSync(bounded(t), master); err != nil {
		t.Errorf("stopping %v: %v", master, err)
	}
	wantSync(t, h, backup)
}

func syncRefusals(t *testing.T, h ipvsctl.SyncHandle, ifname string) {
	d := ipvsctl.SyncDaemon{Role: ipvsctl.SyncMaster, Interface: ifname, ID: 7}
	if err := h.StopSync(bounded(t), d); !errors.Is(err, ipvsctl.ErrNoDaemon) {
		t.Errorf("stopping what does not run = %v, want %v", err, ipvsctl.ErrNoDaemon)
	}
	elsewhere := d
	elsewhere.Interface = "nosuch0"
	if err := h.StartSync(bounded(t), elsewhere); !errors.Is(err, ipvsctl.ErrInvalid) {
		t.Errorf("starting on an interface that is not there = %v, want %v", err, ipvsctl.ErrInvalid)
	}
	unicast := d
	unicast.Group = netip.MustParseAddr("192.0.2.1")
	if err := h.StartSync(bounded(t), unicast); !errors.Is(err, ipvsctl.ErrInvalid) {
		t.Errorf("starting with a group that is not multicast = %v, want %v", err, ipvsctl.ErrInvalid)
	}
	if err := h.StartSync(bounded(t), d); err != nil {
		t.Fatal(err)
	}
	if err := h.StartSync(bounded(t), d); !errors.Is(err, ipvsctl.ErrExist) {
		t.Errorf("starting twice = %v, want %v", err, ipvsctl.ErrExist)
	}
}

func syncReconciles(t *testing.T, h ipvsctl.SyncHandle, ifname string) {
	pair := func(id uint8) []ipvsctl.SyncDaemon {
		return []ipvsctl.SyncDaemon{
			{Role: ipvsctl.SyncMaster, Interface: ifname, ID: id}, {Role: ipvsctl.SyncBackup, Interface: ifname, ID: id},
		}
	}
	ours := func(d ipvsctl.SyncDaemon) bool { return d.ID == 1 || d.ID == 2 }
	step := func(desired []ipvsctl.SyncDaemon, changes ...string) ipvsctl.SyncResult {
		t.Helper()
		result, err := ipvsctl.ReconcileSync(bounded(t), h, desired, ours)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(result.Changes, changes) {
			t.Errorf("changes = %q, want %q", result.Changes, changes)
		}
		if diff := cmp.Diff(syncDaemons(t, h), result.Live, comparer); diff != "" {
			t.Errorf("the result is not what runs (-runs +result):\n%s", diff)
		}
		return result
	}
	name := func(word, role string, id int) string {
		return word + " the " + role + " sync daemon on " + ifname + " with id " + string(rune('0'+id))
	}
	if r := step(pair(1), name("starting", "master", 1), name("starting", "backup", 1)); len(r.Failed) > 0 {
		t.Errorf("failures: %v", r.Failed)
	}
	step(pair(1)) // as desired already: nothing is done
	step(pair(2), name("stopping", "master", 1), name("starting", "master", 2),
		name("stopping", "backup", 1), name("starting", "backup", 2))
	step(nil, name("stopping", "master", 2), name("stopping", "backup", 2))

	foreign := ipvsctl.SyncDaemon{Role: ipvsctl.SyncMaster, Interface: ifname, ID: 9}
	if err := h.StartSync(bounded(t), foreign); err != nil {
		t.Fatal(err)
	}
	r := step(pair(1), name("starting", "backup", 1))
	if len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Error(), "is not ours") {
		t.Errorf("failures = %v, want that the master is not ours", r.Failed)
	}
	step(nil, name("stopping", "backup", 1))
	if got := syncDaemons(t, h); len(got) != 1 || got[0].ID != foreign.ID {
		t.Errorf("daemons = %v, want the foreign one untouched", got)
	}
}
