package director

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

const (
	web1 = "tcp 192.0.2.11:80"
	web2 = "tcp 192.0.2.12:80"
	// election is longer than lvs1 takes to become master at a cold start.
	election = 4 * time.Second
)

// alone starts lvs1 on a LAN of its own, ready to be looked at.
func alone(t *testing.T, prepare func(*node)) *node {
	lan := vrrptest.NewLAN()
	n := newNode(t, pairConfig("lvs1"), lan.Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1")), newFakeHost())
	if prepare != nil {
		prepare(n)
	}
	n.startSpeaker()
	n.startDirector()
	return n
}

func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var takeover = []string{
	"ipvs adding service tcp 192.0.2.100:80",
	"ipvs adding destination 192.0.2.11:80 to service tcp 192.0.2.100:80",
	"add 192.0.2.100/24",
	"announce 192.0.2.100",
}

func TestTakeoverOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, nil)
		defer n.end()
		settle(time.Second)
		n.judge(web1, healthcheck.Up)
		settle(time.Second)
		wantCalls(t, n.host, "as a backup")
		settle(election)
		got := n.host.did()
		if len(got) != len(takeover) {
			t.Fatalf("takeover: %q, want %q", got, takeover)
		}
		for i, want := range takeover {
			if got[i] != want {
				t.Errorf("step %d of the takeover: %q, want %q", i, got[i], want)
			}
		}
	})
}

func TestColdStartTakesResidualAddressesAwayFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) {
			n.host.addresses = []netif.PresentAddress{
				{Address: vip, Ours: true},
				{Address: netif.Address{Interface: "eth0", Prefix: netip.MustParsePrefix("192.0.2.1/24")}},
			}
		})
		defer n.end()
		synctest.Wait()
		wantCalls(t, n.host, "at the start", "remove 192.0.2.100/24")
		if len(n.host.addresses) != 1 {
			t.Errorf("addresses left: %v, want the host's own alone", n.host.addresses)
		}
	})
}

func TestColdStartAdoptsTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) {
			live := ipvsctl.Table{{Key: webKey, Scheduler: "wlc", Dests: []ipvsctl.Dest{
				{Key: ipvsctl.DestKey{Address: netip.MustParseAddr("192.0.2.11"), Port: 80}, Forward: ipvsctl.DR, Weight: 1},
			}}}
			if _, err := n.host.SetTable(t.Context(), live, nil); err != nil {
				t.Fatal(err)
			}
			n.host.did()
		})
		defer n.end()
		settle(election)
		wantCalls(t, n.host, "taking over with the table in place", "add 192.0.2.100/24", "announce 192.0.2.100")
		known := (<-n.targets).Known
		if v := known[web1]; v.Status != healthcheck.Up || !v.Known {
			t.Errorf("the checker was told %+v of the server in the pool, want that it was up", v)
		}
		if _, told := known[web2]; told {
			t.Errorf("the checker was told something of a server that was not in the pool: %+v", known[web2])
		}
	})
}

// TestBackupTakesStaleServicesOut: what a dead master left in the table goes as
// soon as it is clear that another node is master.
func TestBackupTakesStaleServicesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.NewLAN()
		master := newNode(t, pairConfig("lvs1"), lan.Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1")), newFakeHost())
		defer master.end()
		master.startSpeaker()
		master.startDirector()
		settle(election)
		backup := newNode(t, pairConfig("lvs2"), lan.Host("lvs2", "eth0", netip.MustParseAddr("192.0.2.2")), newFakeHost())
		defer backup.end()
		if _, err := backup.host.SetTable(t.Context(), ipvsctl.Table{{Key: webKey, Scheduler: "wlc"}}, nil); err != nil {
			t.Fatal(err)
		}
		backup.startSpeaker()
		backup.startDirector()
		settle(time.Second)
		if live, _ := backup.host.Table(t.Context()); len(live) != 1 {
			t.Errorf("services after 1 s: %v, want them untouched until the role is clear", live)
		}
		settle(2 * election)
		if live, _ := backup.host.Table(t.Context()); len(live) != 0 {
			t.Errorf("services of a backup: %v, want none", live)
		}
	})
}

// running returns lvs1 as master with one server in the pool.
func running(t *testing.T) *node {
	n := alone(t, nil)
	settle(time.Second)
	n.judge(web1, healthcheck.Up)
	settle(election)
	n.host.did()
	return n
}

func (n *node) role() (vrrp.State, time.Time) {
	var role Role
	if err := n.director.do(context.Background(), func() { role = n.director.roles["edge"] }); err != nil {
		n.t.Fatal(err)
	}
	return role.State, role.Since
}

func TestDirectorCrashIsNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		_, since := n.role()
		n.killDirector()
		n.startDirector()
		settle(20 * time.Second)
		// Its announcer is new, so it announces; nothing else may happen.
		wantCalls(t, n.host, "after the crash of the director", "announce 192.0.2.100")
		if state, now := n.role(); state != vrrp.Master || !now.Equal(since) {
			t.Errorf("after the crash: %v since %v, want master since %v", state, now, since)
		}
	})
}

func TestDirectorThatRestartsGoesOnWithWhatWasInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.killDirector()
		n.file(nil, errTest) // somebody is editing it
		n.startDirector()
		settle(20 * time.Second)
		if state, _ := n.role(); state != vrrp.Master || !n.holds() {
			t.Errorf("state %v, address held %v, want master with its address", state, n.holds())
		}
		if result, err := n.director.Reload(t.Context()); err != nil || result.Applied {
			t.Errorf("reload of the wrong file: %+v, %v, want it refused", result, err)
		}
	})
}

func TestDirectorThatRestartsNeedsNoSysctls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.killDirector()
		n.host.refuse = errTest // the interface of one is gone
		n.startDirector()
		settle(20 * time.Second)
		if state, _ := n.role(); state != vrrp.Master || !n.holds() {
			t.Errorf("state %v, address held %v, want master with its address", state, n.holds())
		}
	})
}

func TestSpeakerCrashIsNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		_, since := n.role()
		n.killSpeaker()
		synctest.Wait()
		setDied(t, time.Now())
		settle(50 * time.Millisecond)
		n.startSpeaker()
		settle(20 * time.Second)
		wantCalls(t, n.host, "after the crash of the speaker")
		if state, now := n.role(); state != vrrp.Master || !now.Equal(since) {
			t.Errorf("after the crash: %v since %v, want master since %v", state, now, since)
		}
	})
}

func TestSpeakerThatWasDownTooLongListensFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.killSpeaker()
		setDied(t, time.Now())
		settle(5 * time.Second)
		n.startSpeaker()
		settle(time.Second)
		if state, _ := n.role(); state != vrrp.Backup {
			t.Errorf("after 5 s of silence: %v, want backup", state)
		}
		wantCalls(t, n.host, "after 5 s of silence", "remove 192.0.2.100/24", "ipvs deleting service tcp 192.0.2.100:80")
	})
}

func TestCheckerCrashKeepsTheJudgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		for len(n.targets) > 0 {
			<-n.targets
		}
		if err := n.atChecker.Send(process.KindHello, "", process.Hello{PID: 1}); err != nil {
			t.Fatal(err)
		}
		settle(20 * time.Second)
		wantCalls(t, n.host, "after the crash of the checker")
		select {
		case told := <-n.targets:
			if len(told.Targets) != 2 || told.Known[web1].Status != healthcheck.Up {
				t.Errorf("the new checker was told %+v, want 2 targets, and that %s is up", told, web1)
			}
		default:
			t.Error("the new checker was told nothing")
		}
	})
}

func TestServerThatFailsLeavesThePoolAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.judge(web2, healthcheck.Up)
		settle(time.Second)
		n.host.did()
		n.judge(web1, healthcheck.Down)
		settle(time.Second)
		got := n.host.did()
		if len(got) != 1 || !strings.HasPrefix(got[0], "ipvs deleting destination 192.0.2.11:80") {
			t.Errorf("after a server failed: %q, want its deletion alone", got)
		}
	})
}

// TestPlannedStopIsMakeBeforeBreak: at no time may the address be nowhere.
func TestPlannedStopIsMakeBeforeBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.NewLAN()
		one := newNode(t, pairConfig("lvs1"), lan.Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1")), newFakeHost())
		two := newNode(t, pairConfig("lvs2"), lan.Host("lvs2", "eth0", netip.MustParseAddr("192.0.2.2")), newFakeHost())
		wire := &segment{}
		for _, n := range []*node{one, two} {
			n.host.segment = wire
			n.startSpeaker()
			n.startDirector()
			defer n.end()
		}
		settle(2 * election)
		if !one.holds() || two.holds() {
			t.Fatalf("before the stop lvs1 has the address: %v, lvs2: %v, want true, false", one.holds(), two.holds())
		}
		stopped := make(chan error, 1)
		go func() { stopped <- one.stopDirector() }()
		for one.holds() || !two.holds() {
			if !one.holds() && !two.holds() {
				t.Fatal("nobody has the address")
			}
			settle(time.Millisecond)
		}
		if err := <-stopped; err != nil {
			t.Errorf("stopping: %v", err)
		}
		if len(one.host.sysctls) != 0 {
			t.Errorf("sysctls left: %v", one.host.sysctls)
		}
		if live, _ := one.host.Table(t.Context()); len(live) != 0 {
			t.Errorf("services left: %v", live)
		}
	})
}

func (n *node) holds() bool {
	all, _ := n.host.Addresses(context.Background())
	return slices.ContainsFunc(all, func(p netif.PresentAddress) bool { return p.Address == vip })
}

func TestReloadAppliesTheDifferenceAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		next := pairConfig("lvs1")
		next.Services[0].Real[0].Weight = 5
		n.file(next, nil)
		result, err := n.director.Reload(t.Context())
		if err != nil || !result.Applied {
			t.Fatalf("reload: %+v, %v, want it applied", result, err)
		}
		if want := []string{`service "web": real server 192.0.2.11: Weight: 5, was 1`}; !slices.Equal(result.Changes, want) {
			t.Errorf("changes %q, want %q", result.Changes, want)
		}
		got := n.host.did()
		if len(got) != 1 || !strings.HasPrefix(got[0], "ipvs updating destination 192.0.2.11:80") {
			t.Errorf("calls %q, want the update of one weight", got)
		}
		if state, _ := n.role(); state != vrrp.Master {
			t.Errorf("state %v, want master", state)
		}
	})
}

func TestRefusedReloadChangesNothing(t *testing.T) {
	wrong := config.Diagnostics{
		{File: "haldir.toml", Line: 3, Column: 1, Path: "vrrp.edge", Message: "one"},
		{File: "haldir.toml", Line: 9, Column: 1, Path: "vrrp.edge", Message: "two"},
	}
	for name, refuse := range map[string]func(*node){
		"file":   func(n *node) { n.file(nil, wrong) },
		"sysctl": func(n *node) { n.host.refuse = errTest },
		"socket": func(n *node) {
			c := pairConfig("lvs1")
			c.API.Socket = "/elsewhere"
			n.file(c, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := running(t)
				defer n.end()
				before := n.director.config
				refuse(n)
				result, err := n.director.Reload(t.Context())
				if err != nil || result.Applied || len(result.Errors) == 0 {
					t.Errorf("reload: %+v, %v, want it refused with reasons", result, err)
				}
				if name == "file" && len(result.Errors) != 2 {
					t.Errorf("%d errors, want all 2 of the file", len(result.Errors))
				}
				settle(20 * time.Second)
				wantCalls(t, n.host, "after a refused reload")
				if n.director.config != before {
					t.Error("the configuration was replaced")
				}
			})
		})
	}
}

func TestRemovedRouterHandsOverBeforeItsAddressGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		next := pairConfig("lvs1")
		next.VRRP, next.Services = nil, nil
		n.file(next, nil)
		if result, err := n.director.Reload(t.Context()); err != nil || !result.Applied {
			t.Fatalf("reload: %+v, %v, want it applied", result, err)
		}
		settle(500 * time.Millisecond)
		if !n.holds() {
			t.Error("the address went before a successor could be heard")
		}
		settle(vrrp.HandoverBound(time.Second))
		if n.holds() {
			t.Error("the address is still there")
		}
	})
}

func TestRemovedServiceGoesAfterACrashToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.killDirector()
		next := pairConfig("lvs1")
		next.Services = nil
		n.file(next, nil)
		n.restarted = false // the whole node starts anew, with another file
		n.startDirector()
		settle(time.Second)
		if live, _ := n.host.Table(t.Context()); len(live) != 0 {
			t.Errorf("services left in the kernel: %v", live)
		}
		if got := n.host.did(); !slices.Contains(got, "ipvs deleting service tcp 192.0.2.100:80") {
			t.Errorf("calls %q, want the deletion of the service", got)
		}
	})
}

func TestForeignServiceIsLeftAlone(t *testing.T) {
	foreign := ipvsctl.ServiceKey{Protocol: ipvsctl.UDP, Address: netip.MustParseAddr("192.0.2.200"), Port: 53}
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) {
			if _, err := n.host.SetTable(t.Context(), ipvsctl.Table{{Key: foreign, Scheduler: "rr"}}, nil); err != nil {
				t.Fatal(err)
			}
		})
		defer n.end()
		settle(election)
		status, err := n.director.Status(t.Context())
		if err != nil || !slices.Equal(status.Foreign, []string{foreign.String()}) {
			t.Errorf("foreign services %v, %v, want %v", status.Foreign, err, foreign)
		}
		if err := n.stopDirector(); err != nil {
			t.Errorf("stopping: %v", err)
		}
		if live, _ := n.host.Table(t.Context()); len(live) != 1 || live[0].Key != foreign {
			t.Errorf("after the stop: %v, want the foreign service alone", live)
		}
	})
}

// setDied tells the next speaker when its predecessor died, as the supervisor
// does.
func setDied(t *testing.T, at time.Time) {
	t.Helper()
	name, value, _ := strings.Cut(process.DiedEnvironment(at), "=")
	if err := os.Setenv(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Unsetenv(name) })
}
