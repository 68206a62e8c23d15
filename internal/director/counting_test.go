package director

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/peer"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// TestConnectionsAreCountedForTheOthers: what is told was counted lately, or is left
// out.
func TestConnectionsAreCountedForTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := synced(t)
		defer n.end()
		n.host.mu.Lock()
		n.host.connections = []ipvsctl.Connection{{}, {Learned: true}, {Learned: true}}
		n.host.mu.Unlock()
		settle(2 * countEvery)
		d := n.director
		var got *peer.Connections
		tell := func(now time.Time) {
			t.Helper()
			if err := d.do(t.Context(), func() { got = d.message(now).Connections }); err != nil {
				t.Fatal(err)
			}
		}
		tell(time.Now())
		if got == nil || got.Own != 1 || got.Learned != 2 || got.More || got.Ago < 0 || got.Ago > countEvery.Milliseconds() {
			t.Errorf("the others are told %+v, want 1 of its own and 2 learned", got)
		}
		if tell(time.Now().Add(countTrust + countEvery)); got != nil {
			t.Errorf("the others are told %+v of long ago, want nothing", got)
		}
		n.reload(pairConfig("lvs1"))
		settle(2 * countEvery)
		if tell(time.Now()); got != nil {
			t.Errorf("without synchronisation the others are told %+v, want nothing", got)
		}
	})
}

func TestWhatAnotherDirectorHasLearnedIsShownWhileItIsHeard(t *testing.T) {
	told := peer.Message{Node: "lvs2", Connections: &peer.Connections{Own: 3, Learned: 40, More: true, Ago: 2000}}
	silent, mute := told, told
	silent.Node, mute.Node, mute.Connections = "lvs3", "lvs4", nil
	v := view{now: noon, peers: []peer.Peer{
		{Message: told, At: noon.Add(-time.Second)}, {Message: silent, At: noon.Add(-time.Minute)}, {Message: mute, At: noon},
	}}
	want := []control.SyncOther{{
		Node: "lvs2", Age: control.Of(3 * time.Second), SyncConnections: control.SyncConnections{Own: 3, Learned: 40, More: true},
	}}
	if diff := cmp.Diff(want, v.othersConnections()); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
}
