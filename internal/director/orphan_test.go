package director

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeathOfTheSupervisorIsAPlannedStop: the links that end with it must not
// end the director before it has handed over.
func TestDeathOfTheSupervisorIsAPlannedStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		_ = n.atSupervisor.Close()
		_ = n.atChecker.Close() // a checker ends at once
		settle(time.Millisecond)
		close(n.orphaned)
		settle(500 * time.Millisecond)
		if !n.holds() {
			t.Error("the address went before a successor could be heard")
		}
		if err := n.endDirector(); err != nil {
			t.Errorf("the director ended with %v, want an orderly end", err)
		}
		if n.holds() {
			t.Error("the address is still there")
		}
		if live, _ := n.host.Table(t.Context()); len(live) != 0 || n.host.sysctls != nil {
			t.Errorf("left: services %v, sysctls %v", live, n.host.sysctls)
		}
	})
}

// TestDeathOfTheSupervisorAndTheSpeaker: nobody can hand over any more, and
// nobody will restart anything.
func TestDeathOfTheSupervisorAndTheSpeaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.killSpeaker()
		_ = n.atSpeaker.Close()
		if err := n.endDirector(); err == nil {
			t.Error("the director ended without an error")
		}
		if n.holds() {
			t.Error("the address is still there")
		}
	})
}

// failingListener fails when told to.
type failingListener struct {
	silentListener
	fail chan struct{}
}

func (l *failingListener) Accept() (net.Conn, error) {
	select {
	case <-l.fail:
		return nil, errTest
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// TestBrokenPartIsACrash: a director that cannot go on dies and is followed by
// one that adopts everything. The speaker is still master meanwhile.
func TestBrokenPartIsACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := make(chan struct{})
		n := alone(t, func(n *node) {
			n.listen = func(string) (net.Listener, error) {
				return &failingListener{silentListener{closed: make(chan struct{})}, fail}, nil
			}
		})
		defer n.end()
		settle(2 * election)
		n.host.did()
		close(fail)
		if err := n.endDirector(); !errors.Is(err, errTest) {
			t.Errorf("the director ended with %v, want %v", err, errTest)
		}
		wantCalls(t, n.host, "after the API broke")
		n.killDirector() // its links are for the next one
		n.listen = listenToNobody
		n.startDirector()
		settle(20 * time.Second)
		wantCalls(t, n.host, "after the restart", "announce 192.0.2.100")
	})
}
