package director

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/vrrp"
)

// deafChecker starts a director whose checker does not answer, so that it waits
// for helloBound.
func (n *node) deafChecker() {
	_ = n.toChecker.Close()
	_ = n.atChecker.Close()
	n.toChecker, n.atChecker = process.Pipe()
}

func TestTransitionDuringTheStartIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, nil)
		defer n.end()
		settle(election - time.Second) // just before the election
		n.killDirector()
		n.deafChecker()
		n.startDirector()
		settle(election)
		if state, _ := n.role(); state != vrrp.Master || !n.holds() {
			t.Errorf("state %v, address held %v, want master with its address", state, n.holds())
		}
	})
}

func TestSpeakerThatDiesDuringTheStartResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.killDirector()
		n.deafChecker()
		n.startDirector()
		settle(time.Second) // the speaker has answered, the checker has not
		n.killSpeaker()
		synctest.Wait()
		setDied(t, time.Now())
		settle(10 * time.Millisecond)
		n.startSpeaker()
		settle(helloBound)
		if state, _ := n.role(); state != vrrp.Master || !n.holds() {
			t.Errorf("state %v, address held %v, want master with its address", state, n.holds())
		}
	})
}

func TestVerdictDuringTheStartIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.killDirector()
		n.deafChecker()
		n.startDirector()
		settle(time.Second)
		n.judge(web2, healthcheck.Up)
		settle(helloBound)
		live, _ := n.host.Table(t.Context())
		if len(live) != 1 || len(live[0].Dests) != 2 {
			t.Errorf("table %v, want one service with both servers", live)
		}
	})
}
