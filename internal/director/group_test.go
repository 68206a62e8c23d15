package director

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

// grouped has a second router, inside, in a group with the first.
func grouped(node string, trackers ...config.Tracker) *config.Config {
	c := tracking(node)
	inside := c.VRRP[0]
	inside.Name, inside.RouterID, inside.Track = "inside", 52, trackers
	inside.Addresses = []netip.Prefix{netip.MustParsePrefix("198.51.100.100/24")}
	c.VRRP = append(c.VRRP, inside)
	c.SyncGroups = []config.SyncGroup{{Name: "both", Members: []string{"edge", "inside"}}}
	return c
}

func groupPair(t *testing.T, trackers ...config.Tracker) (lan *vrrptest.LAN, one, two *node) {
	lan = vrrptest.NewLAN()
	wire := new(segment)
	start := func(name, address string) *node {
		host := newFakeHost()
		host.segment = wire
		n := newNode(t, grouped(name, trackers...), lan.Host(name, "eth0", netip.MustParseAddr(address)), host)
		n.startSpeaker()
		n.startDirector()
		return n
	}
	one, two = start("lvs1", "192.0.2.1"), start("lvs2", "192.0.2.2")
	settle(time.Second)
	for _, n := range []*node{one, two} {
		for _, tracker := range trackers {
			n.judge(tracker.Target(), healthcheck.Up)
		}
	}
	settle(election)
	return lan, one, two
}

// states returns those of both routers.
func (n *node) states() []vrrp.State {
	var states []vrrp.State
	if err := n.director.do(n.t.Context(), func() {
		states = []vrrp.State{n.director.roles["edge"].State, n.director.roles["inside"].State}
	}); err != nil {
		n.t.Fatal(err)
	}
	return states
}

func (n *node) wantStates(when string, want vrrp.State) {
	n.t.Helper()
	if got := n.states(); !slices.Equal(got, []vrrp.State{want, want}) {
		n.t.Errorf("%s: edge and inside are %v, want both %v", when, got, want)
	}
}

// What one member depends on moves all of them.
func TestTrackerOfOneMemberMovesTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, one, two := groupPair(t, scripted)
		defer one.end()
		defer two.end()
		one.wantStates("lvs1 at first", vrrp.Master)
		one.judge(scripted.Target(), healthcheck.Down)
		settle(2 * time.Second)
		one.wantStates("lvs1 with its tracker down", vrrp.Init)
		two.wantStates("lvs2 then", vrrp.Master)
		one.judge(scripted.Target(), healthcheck.Up)
		settle(2 * election)
		one.wantStates("lvs1 with its tracker up", vrrp.Master)
		two.wantStates("lvs2 then", vrrp.Backup)
	})
}

func TestWeightOfOneMemberMovesTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, one, two := groupPair(t, weighted(scripted, -60))
		defer one.end()
		defer two.end()
		one.judge(scripted.Target(), healthcheck.Down)
		settle(2 * election)
		one.wantStates("lvs1 with its tracker down", vrrp.Backup)
		two.wantStates("lvs2 then", vrrp.Master)
	})
}

// Whoever was master beside one member was so beside all: every address of the
// group is announced again by the one that stays.
func TestSiblingsAnnounceAgainAfterASecondMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, one, two := groupPair(t)
		defer one.end()
		defer two.end()
		one.host.did()
		rival := vrrp.Transition{Router: "inside", From: vrrp.Master, To: vrrp.Master, Reason: vrrp.ReasonRival, At: time.Now()}
		if err := one.director.do(t.Context(), func() { one.director.note(rival); one.director.follow() }); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Millisecond)
		got := one.host.did()
		slices.Sort(got)
		if want := []string{"announce 192.0.2.100", "announce 198.51.100.100"}; !slices.Equal(got, want) {
			t.Errorf("after a second master of one member: %q, want %q", got, want)
		}
	})
}
