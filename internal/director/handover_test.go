package director

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

// masterAndBackup returns lvs1 as master and lvs2 as backup, both running.
func masterAndBackup(t *testing.T) (master, backup *node) {
	lan, wire := vrrptest.NewLAN(), &segment{}
	master = newNode(t, pairConfig("lvs1"), lan.Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1")), newFakeHost())
	backup = newNode(t, pairConfig("lvs2"), lan.Host("lvs2", "eth0", netip.MustParseAddr("192.0.2.2")), newFakeHost())
	for _, n := range []*node{master, backup} {
		n.host.segment = wire
		n.startSpeaker()
		n.startDirector()
	}
	settle(2 * election)
	if !master.holds() || backup.holds() {
		t.Fatal("lvs1 is not the only one with the address")
	}
	return master, backup
}

// as says in whose name a request comes.
func as(ctx context.Context, user string) context.Context {
	return control.WithCaller(ctx, func() control.Caller { return control.Caller{User: user} })
}

// TestFailoverLosesNothing: at each instant somebody has the address, and in the
// end the peer alone, although this node is better and preempts.
func TestFailoverLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		master, backup := masterAndBackup(t)
		defer master.end()
		defer backup.end()
		type answer struct {
			result control.FailoverResult
			err    error
		}
		answered := make(chan answer, 1)
		go func() {
			result, err := master.director.Failover(as(t.Context(), "alice"), control.FailoverRequest{})
			answered <- answer{result, err}
		}()
		var got answer
		for waiting := true; waiting; {
			settle(time.Millisecond)
			if !master.holds() && !backup.holds() {
				t.Fatal("nobody has the address")
			}
			select {
			case got = <-answered:
				waiting = false
				if master.holds() {
					t.Error("it is said to be done while the address is still here")
				}
			default:
			}
		}
		h := got.result.Handovers
		if got.err != nil || !got.result.Done || len(h) != 1 || h[0].To != "192.0.2.2" || h[0].Priority != 100 || h[0].Problem != "" {
			t.Errorf("result %+v, %v, want edge handed over to 192.0.2.2", got.result, got.err)
		}
		if got.result.By.User != "alice" {
			t.Errorf("asked by %v, want alice", got.result.By)
		}
		// The skew time of priority 100.
		if took := h[0].Took.Duration(); took < 609*time.Millisecond || took > 720*time.Millisecond {
			t.Errorf("it took %v, want the successor's skew time and the linger", took)
		}
		settle(time.Minute)
		if master.holds() || !backup.holds() {
			t.Error("the better node took its role back")
		}

		// Nor does a crash of either process change that.
		master.killSpeaker()
		<-master.speakerEnded
		master.startSpeaker()
		settle(10 * time.Second)
		master.killDirector()
		master.startDirector()
		settle(10 * time.Second)
		if state, _ := master.role(); state != vrrp.Backup {
			t.Errorf("lvs1 is %v after its processes crashed, want backup", state)
		}

		// It hands back the same way.
		if result, err := backup.director.Failover(t.Context(), control.FailoverRequest{Routers: []string{"edge"}}); err != nil || !result.Done {
			t.Errorf("handing back: %+v, %v", result, err)
		}
		if !master.holds() || backup.holds() {
			t.Error("the role was not handed back")
		}
	})
}

// TestFailoverWithoutSuccessorChangesNothing: the address never goes.
func TestFailoverWithoutSuccessorChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		result, err := n.director.Failover(t.Context(), control.FailoverRequest{})
		if err != nil || result.Done || len(result.Handovers) != 1 ||
			result.Handovers[0].Problem != "no other director took over within 4s: this node stays master" {
			t.Errorf("result %+v, %v", result, err)
		}
		settle(10 * time.Second)
		wantCalls(t, n.host, "a failover that nobody took", "announce 192.0.2.100")
		if state, _ := n.role(); state != vrrp.Master {
			t.Errorf("lvs1 is %v, want master", state)
		}
	})
}

func TestFailoverRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		master, backup := masterAndBackup(t)
		defer master.end()
		defer backup.end()
		refused := func(n *node, want string, routers ...string) {
			t.Helper()
			result, err := n.director.Failover(t.Context(), control.FailoverRequest{Routers: routers})
			if err != nil || result.Done || !strings.Contains(result.Refused, want) {
				t.Errorf("result %+v, %v, want it refused: %s", result, err, want)
			}
		}
		refused(backup, "master of no virtual router")
		refused(backup, "not master of edge", "edge")
		_, err := master.director.Failover(t.Context(), control.FailoverRequest{Routers: []string{"inner"}})
		if !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), `"inner" here, but edge`) {
			t.Errorf("an unknown router: %v", err)
		}
		single := pairConfig("lvs1")
		single.VRRP[0].Priorities.ByNode = map[string]uint8{"lvs1": 150}
		master.reload(single)
		refused(master, "the priority of edge names no other node")
		if state, _ := master.role(); state != vrrp.Master {
			t.Errorf("lvs1 is %v, want master", state)
		}
	})
}

// TestMaintenanceHoldsAcrossRestarts: in maintenance a node takes no part, even if
// the peer dies.
func TestMaintenanceHoldsAcrossRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		master, backup := masterAndBackup(t)
		defer master.end()
		defer backup.end()
		result, err := master.director.Maintenance(as(t.Context(), "alice"), control.MaintenanceRequest{On: true, Reason: "new kernel"})
		if err != nil || !result.Done || result.Maintenance == nil || len(result.Handovers) != 1 {
			t.Fatalf("result %+v, %v", result, err)
		}
		if master.holds() || !backup.holds() {
			t.Error("the peer has not taken over")
		}
		inMaintenance := func(when string) {
			t.Helper()
			status, err := master.director.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			m := status.Maintenance
			if m == nil || m.By.User != "alice" || m.Reason != "new kernel" || !m.Since.Equal(result.Maintenance.Since) {
				t.Errorf("%s: maintenance %+v, want what alice said", when, m)
			}
			if r := status.Routers[0]; r.State != "init" || r.Ineligible != "maintenance" {
				t.Errorf("%s: the router is %s, ineligible %q", when, r.State, r.Ineligible)
			}
		}
		inMaintenance("at once")
		if err := master.stopDirector(); err != nil {
			t.Fatal(err)
		}
		master.killSpeaker()
		<-master.speakerEnded
		master.restarted = false
		backup.killSpeaker()
		backup.killDirector()
		master.startSpeaker()
		master.startDirector()
		settle(time.Minute)
		inMaintenance("after a restart")
		if master.holds() {
			t.Error("it took over when the peer died")
		}

		result, err = master.director.Maintenance(t.Context(), control.MaintenanceRequest{})
		if err != nil || !result.Done || result.Maintenance != nil {
			t.Errorf("off: %+v, %v", result, err)
		}
		settle(election)
		if !master.holds() {
			t.Error("it does not take part again")
		}
		if _, err := os.Stat(maintenancePath(master.director.StateDir)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file is still there: %v", err)
		}
	})
}

func TestMaintenanceIsRefusedWhereTheNodeIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		result, err := n.director.Maintenance(t.Context(), control.MaintenanceRequest{On: true})
		if err != nil || result.Done || result.Maintenance != nil || result.Refused != "this node is still needed" || len(result.Handovers) != 1 {
			t.Errorf("result %+v, %v, want it refused", result, err)
		}
		if _, err := os.Stat(maintenancePath(n.director.StateDir)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file is there: %v", err)
		}
		if !n.holds() {
			t.Error("the address is gone")
		}
		result, err = n.director.Maintenance(t.Context(), control.MaintenanceRequest{On: true, Force: true})
		if err != nil || !result.Done || n.holds() {
			t.Errorf("by force: %+v, %v, the address is here: %v", result, err, n.holds())
		}
	})
}

// TestMaintenanceThatCannotBeWrittenDownChangesNothing: after a reboot nobody
// would know of it.
func TestMaintenanceThatCannotBeWrittenDownChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		master, backup := masterAndBackup(t)
		defer master.end()
		defer backup.end()
		// A file in the way of the folder stands for a disk that is full.
		if err := os.RemoveAll(master.director.StateDir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(master.director.StateDir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := master.director.Maintenance(t.Context(), control.MaintenanceRequest{On: true})
		if err == nil || !strings.HasPrefix(err.Error(), "nothing was changed: writing ") {
			t.Errorf("err = %v", err)
		}
		settle(time.Second)
		if state, _ := master.role(); state != vrrp.Master {
			t.Errorf("lvs1 is %v, want master", state)
		}
	})
}

// An empty file, made by hand where nothing answers, does it too; one that cannot
// be read is known to be there.
func TestMaintenanceFileByHand(t *testing.T) {
	path := maintenancePath(t.TempDir())
	if m, err := readMaintenance(path); m != nil || err != nil {
		t.Errorf("without a file: %+v, %v", m, err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if m, err := readMaintenance(path); m == nil || m.Since.IsZero() || err != nil {
		t.Errorf("an empty file: %+v, %v", m, err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if m, err := readMaintenance(path); m == nil || err == nil {
		t.Errorf("a file that is no JSON: %+v, %v", m, err)
	}
}

func TestMaintenanceIsKnownBeforeTheFirstConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, pairConfig("lvs1"), vrrptest.NewLAN().Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1")), newFakeHost())
		if err := statefile.Save(maintenancePath(n.state), control.Maintenance{Reason: "x"}); err != nil {
			t.Fatal(err)
		}
		n.startSpeaker()
		n.startDirector()
		defer n.end()
		settle(2 * election)
		if n.holds() {
			t.Error("it became master")
		}
	})
}
