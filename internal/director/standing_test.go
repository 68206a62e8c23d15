package director

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/track"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

var (
	uplink   = config.Tracker{Kind: config.TrackInterface, Subject: "eth1"}
	scripted = config.Tracker{Kind: config.TrackScript, Subject: "/uplink",
		Check: &config.Check{Type: "exec", Options: `{"command":["/uplink"]}`, Every: time.Second, Timeout: time.Second, Rise: 1, Fall: 1}}
	shift = config.Tracker{Kind: config.TrackNumber, Subject: "/shift",
		Check: &config.Check{Type: track.TypeNumber, Options: `{"path":"/shift"}`, Every: time.Second, Timeout: time.Second, Rise: 1, Fall: 1}}
	pool = config.Tracker{Kind: config.TrackService, Subject: "web"}
)

func tracking(node string, trackers ...config.Tracker) *config.Config {
	c := pairConfig(node)
	c.VRRP[0].Track = trackers
	return c
}

// why returns the state of the router and the reason of its last transition.
func (n *node) why() (vrrp.State, vrrp.Reason) {
	var role Role
	if err := n.director.do(n.t.Context(), func() { role = n.director.roles["edge"] }); err != nil {
		n.t.Fatal(err)
	}
	return role.State, role.Reason
}

// standing returns what the trackers make of the router.
func (n *node) standing() (s track.Standing) {
	if err := n.director.do(n.t.Context(), func() { s = n.director.standings["edge"] }); err != nil {
		n.t.Fatal(err)
	}
	return s
}

func weighted(t config.Tracker, weight int) config.Tracker {
	t.Weight = weight
	return t
}

// trackingPair starts lvs1 and lvs2 with the same trackers, lets them be judged as up and
// waits until lvs1 is master.
func trackingPair(t *testing.T, trackers ...config.Tracker) (one, two *node) {
	lan, wire := vrrptest.NewLAN(), new(segment)
	start := func(name, address string) *node {
		host := newFakeHost()
		host.segment = wire
		n := newNode(t, tracking(name, trackers...), lan.Host(name, "eth0", netip.MustParseAddr(address)), host)
		n.startSpeaker()
		n.startDirector()
		return n
	}
	one, two = start("lvs1", "192.0.2.1"), start("lvs2", "192.0.2.2")
	settle(time.Second)
	for _, n := range []*node{one, two} {
		for _, tracker := range trackers {
			if id := tracker.Target(); id != "" {
				n.judge(id, healthcheck.Up)
			}
		}
		n.director.event(netif.Event{Kind: netif.LinkUp, Link: link("eth0")})
		n.director.event(netif.Event{Kind: netif.LinkUp, Link: link("eth1")})
		n.director.event(netif.Event{Kind: netif.Synced})
	}
	settle(election)
	if state, _ := one.role(); state != vrrp.Master {
		t.Fatalf("lvs1 is %v, want master", state)
	}
	return one, two
}

func TestTrackerHandsOverAndTakesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := trackingPair(t, scripted)
		defer one.end()
		defer two.end()
		one.judge(scripted.Target(), healthcheck.Down)
		settle(10 * time.Millisecond)
		if state, reason := one.why(); state != vrrp.Leaving || reason != vrrp.ReasonTracker {
			t.Errorf("lvs1 is %v (%s), want leaving because of the tracker", state, reason)
		}
		if !one.holds() {
			t.Error("lvs1 let go of the address before anybody took over")
		}
		settle(2 * time.Second)
		if one.holds() || !two.holds() {
			t.Errorf("the address is on lvs1: %v, on lvs2: %v, want it on lvs2", one.holds(), two.holds())
		}
		one.judge(scripted.Target(), healthcheck.Up)
		settle(2 * election)
		if !one.holds() || two.holds() {
			t.Errorf("the address is on lvs1: %v, on lvs2: %v, want it back on lvs1", one.holds(), two.holds())
		}
	})
}

func TestWeightMovesTheAddressByTheElection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := trackingPair(t, weighted(scripted, -60))
		defer one.end()
		defer two.end()
		one.judge(scripted.Target(), healthcheck.Down)
		settle(2 * election)
		if state, _ := one.role(); state != vrrp.Backup || !two.holds() {
			t.Errorf("lvs1 is %v, lvs2 holds the address: %v, want backup and true", state, two.holds())
		}
	})
}

func TestUplinkDownHandsOverAfterItsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		delayed := uplink
		delayed.DownDelay = time.Second
		one, two := trackingPair(t, delayed)
		defer one.end()
		defer two.end()
		one.director.event(netif.Event{Kind: netif.LinkDown, Link: link("eth1")})
		settle(900 * time.Millisecond)
		one.director.event(netif.Event{Kind: netif.LinkUp, Link: link("eth1")})
		settle(10 * time.Second)
		if state, _ := one.role(); state != vrrp.Master {
			t.Errorf("%v after a flap, want master", state)
		}
		one.director.event(netif.Event{Kind: netif.LinkGone, Link: link("eth1")})
		settle(1100 * time.Millisecond)
		if state, reason := one.why(); state != vrrp.Leaving || reason != vrrp.ReasonTracker {
			t.Errorf("lvs1 is %v (%s), want leaving because of the tracker", state, reason)
		}
	})
}

func TestNodeDoesNotTakePartBeforeItsTrackersWereChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) { n.config = tracking("lvs1", scripted) })
		defer n.end()
		settle(time.Minute)
		if state, reason := n.why(); state != vrrp.Init || reason != vrrp.ReasonWaiting {
			t.Errorf("state %v (%s), want init, not checked", state, reason)
		}
		n.judge(scripted.Target(), healthcheck.Up)
		settle(election)
		if !n.holds() {
			t.Error("the address is not there")
		}
	})
}

// A preference that cannot be found out keeps nobody out for good.
func TestWeightThatNobodyJudgesIsItsWorstInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) { n.config = tracking("lvs1", weighted(scripted, -60)) })
		defer n.end()
		settle(judgeBound - time.Second)
		if state, _ := n.role(); state != vrrp.Init {
			t.Errorf("state %v within the bound, want init", state)
		}
		settle(time.Second + election)
		if got := n.standing(); !n.holds() || got.Priority != 90 {
			t.Errorf("holds the address: %v, standing %+v, want true and priority 90", n.holds(), got)
		}
	})
}

// Neither a new director nor a new tracker takes a role away before anything was
// checked.
func TestUnknownTrackerCostsNoRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, nil)
		defer n.end()
		settle(election)
		n.file(tracking("lvs1", scripted, weighted(uplink, -60)), nil)
		if result, err := n.director.Reload(t.Context()); err != nil || !result.Applied {
			t.Fatalf("reload: %+v, %v", result, err)
		}
		settle(time.Minute)
		if state, _ := n.role(); state != vrrp.Master {
			t.Errorf("%v after the reload, want master", state)
		}
		n.killDirector()
		n.startDirector()
		settle(time.Minute)
		if got := n.standing(); got.Priority != 150 || !got.Eligible {
			t.Errorf("standing %+v after the director's death, want what it was", got)
		}
		if state, _ := n.role(); state != vrrp.Master {
			t.Errorf("%v after the director's death, want master", state)
		}
		n.judge(scripted.Target(), healthcheck.Down)
		settle(10 * time.Millisecond)
		if state, _ := n.role(); state != vrrp.Leaving {
			t.Errorf("%v after the first judgement, want leaving", state)
		}
	})
}

// The effective priority outlives the speaker and the director.
func TestStandingOutlivesProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := trackingPair(t, weighted(scripted, -40))
		defer one.end()
		defer two.end()
		one.judge(scripted.Target(), healthcheck.Down)
		settle(time.Second)
		want := func(when string) {
			t.Helper()
			status, err := one.director.Status(t.Context())
			if err != nil || status.Routers[0].Priority != 110 {
				t.Errorf("priority %d %s (%v), want 110", status.Routers[0].Priority, when, err)
			}
		}
		want("at first")
		one.killSpeaker()
		setDied(t, time.Now())
		settle(10 * time.Millisecond)
		one.startSpeaker()
		settle(time.Second)
		want("after the speaker's death")
		one.killDirector()
		one.startDirector()
		settle(time.Second)
		want("after the director's death")
	})
}

func TestNumberInAFileIsAddedToThePriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) { n.config = tracking("lvs1", shift) })
		defer n.end()
		say := func(v healthcheck.Verdict) {
			v.ID, v.Status, v.Checked = shift.Target(), healthcheck.Up, time.Now()
			if err := n.atChecker.Send("verdict", v.ID, v); err != nil {
				t.Fatal(err)
			}
			settle(10 * time.Millisecond)
		}
		want := func(priority uint8) {
			t.Helper()
			if got := n.standing(); got.Priority != priority {
				t.Errorf("standing %+v, want priority %d", got, priority)
			}
		}
		settle(time.Second)
		say(healthcheck.Verdict{Reason: track.ReasonNumber, Detail: "0"})
		want(150)
		say(healthcheck.Verdict{Reason: track.ReasonNumber, Detail: "-20"})
		want(130)
		say(healthcheck.Verdict{Reason: healthcheck.ReasonCannot, Detail: "not a number", Warning: true})
		want(130) // the last number stands
		say(healthcheck.Verdict{Reason: track.ReasonNumber, Detail: "-254"})
		if got := n.standing(); got.Eligible {
			t.Errorf("standing %+v, want not eligible", got)
		}
	})
}

func TestServiceIsTrackedByItsQuorum(t *testing.T) {
	c := tracking("lvs1", pool)
	for quorum, want := range map[Quorum]track.Status{QuorumUndecided: track.Unknown, QuorumMet: track.Up, QuorumLost: track.Down} {
		r := Readings{Pools: map[ipvsctl.ServiceKey]Pool{webKey: {Quorum: quorum}}}
		if got := r.service(c, "web"); got != want {
			t.Errorf("quorum %v: %v, want %v", quorum, got, want)
		}
	}
}

func TestPoolsHealthMovesTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) { n.config = tracking("lvs1", pool) })
		defer n.end()
		settle(time.Second)
		n.judge(web1, healthcheck.Down)
		settle(2 * election)
		if state, _ := n.role(); state != vrrp.Init {
			t.Errorf("%v with an undecided pool, want init", state)
		}
		n.judge(web2, healthcheck.Up)
		settle(election)
		if !n.holds() {
			t.Error("no address although the pool has its quorum")
		}
		n.judge(web2, healthcheck.Down)
		settle(10 * time.Millisecond)
		if state, reason := n.why(); state != vrrp.Leaving || reason != vrrp.ReasonTracker {
			t.Errorf("%v (%s) without the quorum, want leaving because of the tracker", state, reason)
		}
	})
}
