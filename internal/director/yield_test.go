package director

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

// twoNodes returns lvs2 as master and lvs1, which is better, not started yet.
func twoNodes(t *testing.T, wire *segment) (better, worse *node) {
	lan := vrrptest.NewLAN()
	better = newNode(t, pairConfig("lvs1"), lan.Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1")), newFakeHost())
	worse = newNode(t, pairConfig("lvs2"), lan.Host("lvs2", "eth0", netip.MustParseAddr("192.0.2.2")), newFakeHost())
	better.host.segment, worse.host.segment = wire, wire
	worse.startSpeaker()
	worse.startDirector()
	settle(election)
	if !worse.holds() {
		t.Fatal("lvs2 is not master")
	}
	return better, worse
}

// TestBetterMasterIsWaitedFor: the address goes when the new master has announced
// it, and then at once.
func TestBetterMasterIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		better, worse := twoNodes(t, &segment{})
		defer better.end()
		defer worse.end()
		better.startSpeaker()
		better.startDirector()
		var both time.Duration
		for began := time.Now(); worse.holds(); settle(time.Millisecond) {
			if better.holds() {
				both += time.Millisecond
			}
			if time.Since(began) > 2*election {
				t.Fatal("lvs2 keeps the address")
			}
		}
		if !better.holds() {
			t.Error("lvs2 let go before lvs1 had the address")
		}
		if both > 2*time.Millisecond {
			t.Errorf("both had the address for %v, want no longer than the announcement takes", both)
		}
	})
}

// TestSilentMasterIsNotWaitedForLong: the bound holds where no announcement is
// heard.
func TestSilentMasterIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		better, worse := twoNodes(t, nil)
		defer better.end()
		defer worse.end()
		better.startSpeaker()
		better.startDirector()
		var gave time.Time
		for worse.holds() {
			settle(time.Millisecond)
			if state, since := worse.role(); state == vrrp.Backup && gave.IsZero() {
				gave = since
			}
			if !gave.IsZero() && time.Since(gave) > yieldBound+10*time.Millisecond {
				t.Fatalf("lvs2 gave way %v ago and still has the address", time.Since(gave))
			}
		}
		if kept := time.Since(gave); kept < yieldBound {
			t.Errorf("lvs2 let go after %v without an announcement, want %v", kept, yieldBound)
		}
	})
}

// TestOnlyALiveSuccessorIsWaitedFor: otherwise nobody is known to have taken over, so there is
// nobody to wait for.
func TestOnlyALiveSuccessorIsWaitedFor(t *testing.T) {
	d := New(Options{})
	d.config = pairConfig("lvs1")
	for reason, want := range map[vrrp.Reason]bool{
		vrrp.ReasonSuccessor: true, vrrp.ReasonHigherPriority: true, vrrp.ReasonHigherAddress: true,
		vrrp.ReasonStalled: false, vrrp.ReasonLinkDown: false, vrrp.ReasonHandoverTimeout: false, vrrp.ReasonNoSource: false,
	} {
		transition := vrrp.Transition{Router: "edge", From: vrrp.Master, To: vrrp.Backup, Reason: reason}
		if got := d.yields(transition, Role{State: vrrp.Master}); got != want {
			t.Errorf("%q: the address stays: %v, want %v", reason, got, want)
		}
	}
	if d.yields(vrrp.Transition{Router: "edge", To: vrrp.Init, Reason: vrrp.ReasonSuccessor}, Role{State: vrrp.Backup}) {
		t.Error("a backup keeps an address that it has not")
	}
}
