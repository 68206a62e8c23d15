package director

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/internal/speaker"
	"github.com/haldir-lb/haldir/vrrp"
)

// queued is a link on which messages wait already.
type queued chan process.Message

func (queued) Send(string, string, any) error    { return nil }
func (q queued) Receive() <-chan process.Message { return q }
func (queued) Close() error                      { return nil }

func (q queued) transition(t *testing.T, to vrrp.State) {
	t.Helper()
	body, err := json.Marshal(vrrp.Transition{Router: "edge", To: to, Reason: vrrp.ReasonMasterDown, At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	q <- process.Message{Kind: speaker.KindTransition, Body: body}
}

// What the speaker says at once is followed once: with a step for each of a
// thousand routers the last address would come seconds late.
func TestTransitionsThatCameTogetherAreFollowedInOneStep(t *testing.T) {
	const together = 100
	link := make(queued, together)
	for i := range together {
		link.transition(t, []vrrp.State{vrrp.Backup, vrrp.Master}[i%2])
	}
	d := New(Options{Speaker: link, Log: slog.New(slog.DiscardHandler)})
	d.config = pairConfig("lvs1")
	d.probes = NewProbes(d.config)
	d.applier = newApplier(nil, nil, nil, d.Log, d.happened)
	d.openNotifier()
	defer d.closeNotifier()

	d.hear(<-link)

	if len(link) != 0 || d.generation != 1 {
		t.Errorf("%d messages are left and the host was told %d times, want 0 and once", len(link), d.generation)
	}
	if got := d.roles["edge"]; got.State != vrrp.Master {
		t.Errorf("the role is %v, want what was said last", got.State)
	}
	if got := d.applier.pending; got == nil || len(got.desired.Addresses) != 1 {
		t.Errorf("the host is to have %+v, want the address of the last role", got)
	}
}

// A link keeps the newest message of a router alone, so news of a role may have
// replaced the change that came before it.
func TestNewsOfARoleThatWasNotHeardOfIsAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		_, last := n.events(0)
		heard := func(from, to vrrp.State, reason vrrp.Reason) {
			v := vrrp.Transition{Router: "edge", From: from, To: to, Reason: reason, At: time.Now(), Master: netip.MustParseAddr("192.0.2.2")}
			if err := n.director.do(t.Context(), func() {
				n.director.note(v)
				n.director.follow()
			}); err != nil {
				t.Fatal(err)
			}
		}
		heard(vrrp.Master, vrrp.Backup, vrrp.ReasonHigherPriority)
		heard(vrrp.Master, vrrp.Master, vrrp.ReasonRival)
		settle(time.Second)
		lines, _ := n.events(last)
		if want := "transition edge: backup to master (second master heard, staying master)"; !slices.Contains(lines, want) {
			t.Errorf("events %q, want %q among them", lines, want)
		}
	})
}

// Who is told of a change is told its reason, whatever was said of the role meanwhile.
func TestAChangeKeepsItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		var moved []move
		if err := n.director.do(t.Context(), func() {
			d := n.director
			for _, v := range []vrrp.Transition{
				{Router: "edge", From: vrrp.Master, To: vrrp.Backup, Reason: vrrp.ReasonHigherPriority},
				{Router: "edge", From: vrrp.Backup, To: vrrp.Master, Reason: vrrp.ReasonMasterDown},
				{Router: "edge", From: vrrp.Master, To: vrrp.Master, Reason: vrrp.ReasonRival, Master: netip.MustParseAddr("192.0.2.2")},
			} {
				v.At = time.Now()
				d.note(v)
			}
			moved = slices.Clone(d.moved)
			d.follow()
		}); err != nil {
			t.Fatal(err)
		}
		if want := []move{{"edge", vrrp.ReasonHigherPriority}, {"edge", vrrp.ReasonMasterDown}}; !slices.Equal(moved, want) {
			t.Errorf("the changes are %v, want %v", moved, want)
		}
	})
}
