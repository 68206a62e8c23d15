package director

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/notify"
	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

func hooked() *config.Notify {
	n := &config.Notify{On: map[string]config.NotifyHook{}, User: "nobody", Timeout: 10 * time.Second}
	for _, state := range config.NotifyStates() {
		n.On[state] = config.NotifyHook{Command: []string{"/" + state}}
	}
	return n
}

func notifying(c *config.Config) *config.Config {
	c.VRRP[0].Notify = hooked()
	return c
}

func (n *node) wantPrograms(when string, want ...string) {
	n.t.Helper()
	if got := n.programs(); !slices.Equal(got, want) {
		n.t.Errorf("%s: %q, want %q", when, got, want)
	}
}

func TestWhatARoleMeansToThoseWhoAreTold(t *testing.T) {
	for _, test := range []struct {
		role Role
		want notify.State // empty: nothing
	}{
		{Role{}, ""},
		{Role{State: vrrp.Master, Reason: vrrp.ReasonMasterDown}, notify.Master},
		{Role{State: vrrp.Backup, Reason: vrrp.ReasonStart}, notify.Backup},
		{Role{State: vrrp.Init, Reason: vrrp.ReasonStart}, ""},
		{Role{State: vrrp.Init, Reason: vrrp.ReasonWaiting}, ""},
		{Role{State: vrrp.Init, Reason: vrrp.ReasonLinkDown}, notify.Fault},
		{Role{State: vrrp.Init, Reason: vrrp.ReasonTracker}, notify.Fault},
		{Role{State: vrrp.Leaving, Reason: vrrp.ReasonTracker}, notify.Fault},
		{Role{State: vrrp.Init, Reason: vrrp.ReasonSuccessor}, ""},
		{Role{State: vrrp.Init, Reason: vrrp.ReasonHandoverTimeout}, ""},
		{Role{State: vrrp.Leaving, Reason: vrrp.ReasonShutdown}, notify.Stop},
		{Role{State: vrrp.Leaving, Reason: vrrp.ReasonMaintenance}, notify.Stop},
		{Role{State: vrrp.Leaving, Reason: vrrp.ReasonHandover}, ""},
		{Role{State: vrrp.Init, Reason: vrrp.ReasonRemoved}, notify.Stop},
	} {
		if got, told := toldState(test.role); got != test.want || told != (test.want != "") {
			t.Errorf("%v (%s): %q, want %q", test.role.State, test.role.Reason, got, test.want)
		}
	}
}

func TestStateOfAGroup(t *testing.T) {
	master, backup := Role{State: vrrp.Master}, Role{State: vrrp.Backup}
	fault := Role{State: vrrp.Init, Reason: vrrp.ReasonLinkDown}
	for _, test := range []struct {
		members []Role
		want    notify.State
	}{
		{nil, ""},
		{[]Role{master}, notify.Master},
		{[]Role{master, master}, notify.Master},
		{[]Role{backup, backup}, notify.Backup},
		{[]Role{master, backup}, ""}, // the other follows
		{[]Role{fault, master}, notify.Fault},
		{[]Role{backup, {State: vrrp.Init, Reason: vrrp.ReasonSuccessor}}, ""},
		{[]Role{{State: vrrp.Leaving, Reason: vrrp.ReasonShutdown}, master}, notify.Stop},
	} {
		if got, told := groupState(test.members); got != test.want || told != (test.want != "") {
			t.Errorf("%+v: %q, want %q", test.members, got, test.want)
		}
	}
}

// The order of a takeover ends with the notification: whoever is told finds the
// addresses and the table.
func TestProgramsAreToldInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) { n.config = notifying(tracking("lvs1", scripted)) })
		defer n.end()
		settle(time.Second)
		n.wantPrograms("before the first check")
		n.judge(scripted.Target(), healthcheck.Up)
		settle(10 * time.Millisecond)
		n.wantPrograms("as a backup", "/backup", "/any INSTANCE edge BACKUP 150")
		settle(election)
		if !n.holds() {
			t.Fatal("not master")
		}
		n.wantPrograms("as a master", "/master", "/any INSTANCE edge MASTER 150")
		n.judge(scripted.Target(), healthcheck.Down)
		settle(10 * time.Millisecond)
		n.wantPrograms("at once when the tracker fails", "/fault", "/any INSTANCE edge FAULT 150")
		settle(2 * election)
		n.wantPrograms("at the end of the hand-over")
		n.judge(scripted.Target(), healthcheck.Up)
		settle(election)
		n.wantPrograms("with the tracker up", "/backup", "/any INSTANCE edge BACKUP 150", "/master", "/any INSTANCE edge MASTER 150")
	})
}

// The stop is told while the addresses are still there, and waited for.
func TestStopIsToldBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) { n.config, n.takes = notifying(pairConfig("lvs1")), 6*time.Second })
		defer n.end()
		settle(6 * election)
		n.programs()
		begun := time.Now()
		stopped := make(chan error)
		go func() { stopped <- n.stopDirector() }()
		settle(10 * time.Millisecond)
		n.wantPrograms("at the beginning of the stop", "/stop")
		if !n.holds() {
			t.Error("the address went before the program ran")
		}
		if err := <-stopped; err != nil {
			t.Errorf("the stop: %v", err)
		}
		n.wantPrograms("until the end", "/any INSTANCE edge STOP 150")
		// Nobody takes over: four seconds and the yielding; the programs take twelve.
		if took := time.Since(begun); took < 12*time.Second || took > 15*time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}

// A slow program delays neither a takeover nor an advert.
func TestSlowProgramDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) { n.config, n.takes = notifying(pairConfig("lvs1")), time.Hour })
		defer n.end()
		settle(election)
		if !n.holds() {
			t.Error("not master while a program runs")
		}
		n.director.event(netif.Event{Kind: netif.LinkUp, Link: link("eth0")})
		n.director.event(netif.Event{Kind: netif.LinkDown, Link: link("eth0")})
		settle(time.Second)
		if n.holds() {
			t.Error("the address is still there without a link")
		}
	})
}

// A director that follows one that died repeats nothing, and tells what that one
// could not tell any more.
func TestNotificationsOutliveTheDirector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) { n.config = notifying(pairConfig("lvs1")) })
		defer n.end()
		settle(2 * election)
		n.programs()
		n.killDirector()
		n.startDirector()
		settle(2 * election)
		n.wantPrograms("the same state under a new director")
		n.mu.Lock()
		n.takes = time.Hour
		n.mu.Unlock()
		n.director.event(netif.Event{Kind: netif.LinkUp, Link: link("eth0")})
		n.director.event(netif.Event{Kind: netif.LinkDown, Link: link("eth0")})
		settle(time.Second)
		n.wantPrograms("before its death", "/fault")
		n.killDirector()
		n.startDirector()
		settle(time.Second)
		n.wantPrograms("after its death", "/fault")
	})
}

func TestReloadTellsWhoIsNewAndWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, nil)
		defer n.end()
		settle(election)
		n.file(notifying(pairConfig("lvs1")), nil)
		if _, err := n.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Millisecond)
		n.wantPrograms("newly told", "/master", "/any INSTANCE edge MASTER 150")
		next := pairConfig("lvs1")
		next.VRRP[0].Name, next.Services[0].VRRP = "renamed", "renamed"
		n.file(next, nil)
		if _, err := n.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Millisecond)
		n.wantPrograms("gone", "/stop", "/any INSTANCE edge STOP 0")
	})
}

func TestGroupIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, one, two := groupPair(t, scripted)
		defer one.end()
		defer two.end()
		next := grouped("lvs1", scripted)
		next.SyncGroups[0].Notify = hooked()
		one.file(next, nil)
		if _, err := one.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Millisecond)
		one.wantPrograms("as masters", "/master", "/any GROUP both MASTER 0")
		one.judge(scripted.Target(), healthcheck.Down)
		settle(2 * time.Second)
		one.wantPrograms("with a tracker down", "/fault", "/any GROUP both FAULT 0")
		one.judge(scripted.Target(), healthcheck.Up)
		settle(2 * election)
		one.wantPrograms("and up", "/backup", "/any GROUP both BACKUP 0", "/master", "/any GROUP both MASTER 0")
	})
}

// The two routers of a block with addresses of both families are one to those who
// are told.
func TestBothFamiliesAreToldAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) {
			n.config = notifying(pairConfig("lvs1"))
			n.config.VRRP[0].Addresses = append(n.config.VRRP[0].Addresses, netip.MustParsePrefix("2001:db8::100/64"))
			lan := vrrptest.NewLAN()
			n.network = lan.Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1"))
		})
		defer n.end()
		settle(2 * election)
		n.wantPrograms("from the start to mastership", "/backup", "/any INSTANCE edge BACKUP 150", "/master", "/any INSTANCE edge MASTER 150")
	})
}
