package director

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

func (n *node) splitBrain() (*control.SplitBrain, []string) {
	n.t.Helper()
	status, err := n.director.Status(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	return status.Routers[0].SplitBrain, status.Problems
}

func (n *node) splitBrainEvents() []string {
	lines, _ := n.events(0)
	return slices.DeleteFunc(lines, func(l string) bool { return !strings.HasPrefix(l, "split-brain") })
}

// onOneWire returns lvs1 as master and lvs2 as backup whose adverts can be cut off
// while everything else passes.
func onOneWire(t *testing.T) (lan *vrrptest.LAN, master, backup *node) {
	lan = vrrptest.NewLAN()
	wire := &segment{}
	master = newNode(t, pairConfig("lvs1"), lan.Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1")), newFakeHost())
	backup = newNode(t, pairConfig("lvs2"), lan.Host("lvs2", "eth0", netip.MustParseAddr("192.0.2.2")), newFakeHost())
	for _, n := range []*node{master, backup} {
		n.host.segment = wire
		n.startSpeaker()
		n.startDirector()
	}
	settle(2 * election)
	return lan, master, backup
}

// TestSplitBrainIsNoticedByBoth: nothing but adverts is cut off, so both are
// master and neither hears of it in the protocol.
func TestSplitBrainIsNoticedByBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan, master, backup := onOneWire(t)
		defer master.end()
		defer backup.end()
		lan.Partition([]string{"lvs1"}, []string{"lvs2"})
		for backup.stateOf("edge") != vrrp.Master {
			settle(10 * time.Millisecond)
		}
		_, began := backup.role()
		for _, n := range []*node{master, backup} {
			for {
				second, problems := n.splitBrain()
				if second != nil {
					if second.Evidence != "arp" || second.With != "02:00:00:00:00:99" {
						t.Errorf("split brain %+v, want it by arp", second)
					}
					if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "split brain: 02:00:00:00:00:99 is master too") }) {
						t.Errorf("problems %q", problems)
					}
					break
				}
				if time.Since(began) > 3*time.Second {
					t.Fatal("not noticed within three intervals")
				}
				settle(10 * time.Millisecond)
			}
		}
		settle(30 * time.Second)
		for _, n := range []*node{master, backup} {
			if second, _ := n.splitBrain(); second == nil {
				t.Error("it is forgotten while it lasts")
			}
		}

		master.host.did()
		lan.Heal()
		settle(10 * time.Second)
		for _, n := range []*node{master, backup} {
			if second, _ := n.splitBrain(); second != nil {
				t.Errorf("still there after it healed: %+v", second)
			}
			events := n.splitBrainEvents()
			if len(events) != 2 || events[0] != "split-brain edge: began (arp, with 02:00:00:00:00:99)" {
				t.Errorf("events %q, want its begin and its end", events)
			}
		}
		if master.stateOf("edge") != vrrp.Master || backup.stateOf("edge") != vrrp.Backup {
			t.Error("not resolved")
		}
		if !slices.Contains(master.host.did(), "announce 192.0.2.100") {
			t.Error("the one that stays does not announce its addresses again")
		}
		if got := backup.splitBrainEvents()[1]; !strings.HasPrefix(got, "split-brain edge: over (this node gave way: higher priority heard, it lasted 3") {
			t.Errorf("the end on lvs2 is %q", got)
		}
	})
}

// TestHandOversAreNoSplitBrain: whoever gives way has the address for a moment.
func TestHandOversAreNoSplitBrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, master, backup := onOneWire(t)
		defer master.end()
		defer backup.end()
		if result, err := master.director.Failover(t.Context(), control.FailoverRequest{}); err != nil || !result.Done {
			t.Fatalf("%+v, %v", result, err)
		}
		settle(time.Minute)
		if result, err := backup.director.Failover(t.Context(), control.FailoverRequest{}); err != nil || !result.Done {
			t.Fatalf("%+v, %v", result, err)
		}
		settle(time.Minute)
		// A better node returns and preempts.
		if err := master.stopDirector(); err != nil {
			t.Fatal(err)
		}
		master.killSpeaker()
		<-master.speakerEnded
		settle(election)
		master.restarted = false
		master.startSpeaker()
		master.startDirector()
		settle(time.Minute)
		if master.stateOf("edge") != vrrp.Master {
			t.Fatal("lvs1 is not master again")
		}
		for _, n := range []*node{master, backup} {
			if events := n.splitBrainEvents(); len(events) != 0 {
				t.Errorf("events %q, want none", events)
			}
		}
	})
}

func TestRival(t *testing.T) {
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	const interval = 100 * time.Millisecond
	fresh := func() *rival {
		r := &rival{}
		r.enter(Role{State: vrrp.Master, Since: now, Reason: vrrp.ReasonMasterDown}, interval)
		return r
	}
	r := fresh()
	if at, ok := r.next(); !ok || at.Sub(now) != 2*interval {
		t.Errorf("first question after %v, want two intervals", at.Sub(now))
	}
	if r.met(now.Add(interval), "x", "adverts") {
		t.Error("the last advert of whoever gave way is taken for a second master")
	}
	if !r.met(now.Add(2*interval), "x", "adverts") || r.met(now.Add(3*interval), "x", "adverts") {
		t.Error("a second master is news once")
	}
	if r.over(r.expiry().Add(-1)) || !r.over(r.expiry()) || r.over(r.expiry()) {
		t.Error("it is over when nothing was seen for some time, and once")
	}

	r = fresh()
	r.claimed(now)
	if at, _ := r.next(); at.Sub(now) != 2*interval {
		t.Errorf("asked %v after a claim at the takeover, want when it is settled", at.Sub(now))
	}
	r.ask()
	r.answered(now.Add(time.Second), "")
	later := now.Add(5 * time.Second)
	r.claimed(later)
	if at, _ := r.next(); at.Sub(later) != interval/2 {
		t.Errorf("asked %v after a claim, want half an interval", at.Sub(later))
	}
	r.ask()
	if r.answered(later, "") {
		t.Error("nobody answered, and it is news")
	}
	if at, _ := r.next(); at.Sub(later) != watchEvery {
		t.Errorf("next question after %v, want %v", at.Sub(later), watchEvery)
	}

	r.met(later, "x", "arp")
	r.enter(Role{State: vrrp.Backup, Since: later}, interval)
	if !r.over(later) {
		t.Error("it is not over although this node gave way")
	}
	if _, ok := r.next(); ok {
		t.Error("a backup has something to ask")
	}
	resigned := &rival{}
	resigned.enter(Role{State: vrrp.Master, Since: now, Reason: vrrp.ReasonMasterResigned}, interval)
	if at, _ := resigned.next(); at.Sub(now) <= yieldBound {
		t.Errorf("asked %v after a hand-over, while the other may still have the address", at.Sub(now))
	}
}
