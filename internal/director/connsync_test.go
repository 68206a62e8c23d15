package director

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

func syncConfig(node string) *config.Config {
	c := pairConfig(node)
	c.Sync = &config.ConnectionSync{
		Interface: "eth1", ID: 51, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1, Refresh: 10 * time.Second, Retries: 1,
	}
	return c
}

var syncStarts = []string{
	"starting the master sync daemon on eth1 with id 51", "starting the backup sync daemon on eth1 with id 51",
}

var syncStops = []string{
	"stopping the master sync daemon on eth1 with id 51", "stopping the backup sync daemon on eth1 with id 51",
}

func synced(t *testing.T) *node {
	n := alone(t, func(n *node) { n.config = syncConfig("lvs1") })
	settle(time.Second)
	wantCalls(t, n.host, "at the start", syncStarts...)
	settle(2 * election)
	return n
}

func TestSyncRunsFromStartToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := synced(t)
		defer n.end()
		status, err := n.director.Status(t.Context())
		if s := status.Sync; err != nil || s == nil || s.Sends == nil || !*s.Sends || s.Listens == nil || !*s.Listens {
			t.Errorf("status = %+v, %v, want that it sends and listens", s, err)
		}
		n.host.did()
		began := time.Now()
		if err := n.stopDirector(); err != nil {
			t.Errorf("stopping: %v", err)
		}
		got := n.host.did()
		if i := slices.Index(got, syncStops[0]); i < 0 || !slices.Equal(got[i:], append(slices.Clone(syncStops), "restore sysctls")) {
			t.Errorf("the stop did %q, want the sync stopped at its end", got)
		}
		if took := time.Since(began); took < 2*time.Second {
			t.Errorf("it stopped after %v, want the kernel's news told before", took)
		}
	})
}

func TestSyncOutlivesTheDirector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := synced(t)
		defer n.end()
		n.host.did()
		n.killDirector()
		settle(time.Second)
		n.startDirector()
		settle(20 * time.Second)
		wantCalls(t, n.host, "after the crash of the director", "announce 192.0.2.100")
	})
}

func TestSyncFollowsAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := synced(t)
		defer n.end()
		n.host.did()
		next := syncConfig("lvs1")
		next.Sync.TTL = 2
		n.reload(next)
		settle(time.Second)
		wantCalls(t, n.host, "another time to live", syncStops[0], syncStarts[0], syncStops[1], syncStarts[1])
		n.reload(pairConfig("lvs1"))
		settle(time.Second)
		wantCalls(t, n.host, "no sync any more", syncStops...)
		settle(30 * time.Second)
		if err := n.host.sync.StartSync(t.Context(), ipvsctl.SyncDaemon{Role: ipvsctl.SyncMaster, Interface: "eth1", ID: 51}); err != nil {
			t.Fatal(err)
		}
		settle(30 * time.Second)
		wantCalls(t, n.host, "a daemon of somebody else")
	})
}

// TestAStoppedSyncIsStartedAgain: somebody ran ipvsadm --stop-daemon.
func TestAStoppedSyncIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := synced(t)
		defer n.end()
		n.host.did()
		if err := n.host.sync.StopSync(t.Context(), ipvsctl.SyncDaemon{Role: ipvsctl.SyncBackup}); err != nil {
			t.Fatal(err)
		}
		settle(2 * sweepEvery)
		wantCalls(t, n.host, "after the backup was stopped", syncStarts[1])
	})
}

func TestAForeignSyncDaemonIsLeftAndShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) {
			n.config = syncConfig("lvs1")
			if err := n.host.sync.StartSync(t.Context(), ipvsctl.SyncDaemon{Role: ipvsctl.SyncMaster, Interface: "eth1", ID: 7}); err != nil {
				t.Fatal(err)
			}
		})
		defer n.end()
		settle(2 * election)
		status, err := n.director.Status(t.Context())
		if err != nil || !strings.Contains(strings.Join(status.Problems, "\n"), "the master sync daemon on eth1 with id 7 runs already and is not ours") {
			t.Errorf("problems = %q, %v, want the foreign daemon", status.Problems, err)
		}
		if state, _ := n.role(); state != vrrp.Master || !n.holds() {
			t.Errorf("state %v, address held %v, want a master all the same", state, n.holds())
		}
	})
}

func TestSyncIsForDirectorsAlone(t *testing.T) {
	c := syncConfig("rs1")
	if got := SyncDaemons(c); len(got) != 0 {
		t.Errorf("a node without priority wants %v, want none", got)
	}
	if got := connectionSysctls(c); len(got) != 0 {
		t.Errorf("a node without priority wants %v, want none", got)
	}
}

func TestConnectionSysctls(t *testing.T) {
	vs := func(name, value string) netif.Sysctl { return netif.Sysctl{Path: "net/ipv4/vs/" + name, Value: value} }
	c := syncConfig("lvs1")
	want := []netif.Sysctl{
		vs("sync_version", "1"), vs("sync_threshold", "0 0"), vs("sync_refresh_period", "10"), vs("sync_retries", "1"),
	}
	if got := connectionSysctls(c); !reflect.DeepEqual(got, want) {
		t.Errorf("sync needs %v, want %v", got, want)
	}
	c.Sync.Queue = 100
	c.Services[0].Stateless = true
	want = append(want, vs("sync_qlen_max", "100"), vs("sloppy_tcp", "1"))
	if got := connectionSysctls(c); !reflect.DeepEqual(got, want) {
		t.Errorf("sync and stateless need %v, want %v", got, want)
	}
	c.Sync = nil
	c.Services[0].Protocol = "sctp"
	if got, want := Sysctls(c), vs("sloppy_sctp", "1"); got[len(got)-1] != want {
		t.Errorf("stateless sctp needs %v, want %v", got, want)
	}
}

// TestAlwaysLoadedIsOnTheBackupToo, before and after anybody is master, and not
// on a node that has no part in the router or has stopped.
func TestAlwaysLoadedIsOnTheBackupToo(t *testing.T) {
	for name, c := range map[string]struct {
		node string
		role Role
		want int
	}{
		"backup":    {"lvs2", Role{State: vrrp.Backup, Decided: true}, 1},
		"undecided": {"lvs2", Role{State: vrrp.Backup}, 1},
		"down":      {"lvs2", Role{State: vrrp.Init, Reason: vrrp.ReasonLinkDown, Decided: true}, 1},
		"stopped":   {"lvs2", Role{State: vrrp.Init, Reason: vrrp.ReasonShutdown, Decided: true}, 0},
		"no member": {"rs1", Role{}, 0},
	} {
		cfg := pairConfig(c.node)
		cfg.Services[0].LoadAlways = true
		got := Compute(Inputs{Config: cfg, Roles: map[string]Role{"edge": c.role}, Health: up("web 192.0.2.11:80")})
		if len(got.Table) != c.want || len(got.Untouched) != 0 || len(got.Addresses) != 0 {
			t.Errorf("%s: %d services, %d untouched, %d addresses, want %d, 0, 0", name, len(got.Table), len(got.Untouched), len(got.Addresses), c.want)
		}
	}
}
