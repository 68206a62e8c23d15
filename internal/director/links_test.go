package director

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/vrrp"
)

func link(name string) netif.Link { return netif.Link{Name: name} }

func TestLinkThatIsNotReportedYetCostsNoRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		// The watcher begins with everything as new, then says what is up.
		n.director.event(netif.Event{Kind: netif.LinkNew, Link: link("eth0")})
		n.killSpeaker()
		setDied(t, time.Now())
		settle(10 * time.Millisecond)
		n.startSpeaker()
		settle(time.Second)
		if state, _ := n.role(); state != vrrp.Master {
			t.Errorf("state %v, want master", state)
		}
	})
}

func TestLinkDownEndsTheRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.director.event(netif.Event{Kind: netif.LinkUp, Link: link("eth0")})
		n.director.event(netif.Event{Kind: netif.LinkDown, Link: link("eth0")})
		settle(time.Second)
		if n.holds() {
			t.Error("the address is still there")
		}
		n.director.event(netif.Event{Kind: netif.LinkUp, Link: link("eth0")})
		settle(election)
		if !n.holds() {
			t.Error("the address did not come back with the link")
		}
	})
}

func TestInterfaceThatIsNotThereIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.director.event(netif.Event{Kind: netif.Synced})
		settle(time.Second)
		if state, _ := n.role(); state != vrrp.Init {
			t.Errorf("state %v, want init: the reading is over and eth0 was not in it", state)
		}
	})
}

func TestRemovedAddressIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.host.mu.Lock()
		n.host.addresses = nil
		n.host.mu.Unlock()
		n.director.event(netif.Event{Kind: netif.AddressGone, Address: netif.PresentAddress{Address: vip, Ours: true}})
		synctest.Wait()
		wantCalls(t, n.host, "after somebody removed the address", "add 192.0.2.100/24")
		if lines, _ := n.events(0); lines[len(lines)-1] != "address 192.0.2.100/24: put back (another program had removed it, from eth0, 1 within a minute)" {
			t.Errorf("events %q, want one of the address at the end", lines)
		}
	})
}

// TestFloodOfEventsLosesNone: a host may have hundreds of interfaces, and the
// loop is busy while the director starts.
func TestFloodOfEventsLosesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.killDirector()
		n.deafChecker()
		n.startDirector()
		settle(time.Millisecond)
		for i := range 1000 {
			n.director.event(netif.Event{Kind: netif.LinkNew, Link: link(fmt.Sprintf("veth%d", i))})
			n.director.event(netif.Event{Kind: netif.LinkUp, Link: link(fmt.Sprintf("veth%d", i))})
		}
		n.director.event(netif.Event{Kind: netif.LinkUp, Link: link("eth0")})
		settle(2 * helloBound)
		n.director.event(netif.Event{Kind: netif.Synced})
		settle(time.Second)
		if state, _ := n.role(); state != vrrp.Master {
			t.Errorf("state %v, want master: eth0 was reported up", state)
		}
	})
}

func TestInterfacesThatComeAndGoAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		for i := range 100 {
			name := link(fmt.Sprintf("veth%d", i))
			for _, kind := range []netif.EventKind{netif.LinkUp, netif.LinkDown, netif.LinkGone} {
				n.director.event(netif.Event{Kind: kind, Link: name})
				synctest.Wait()
			}
		}
		if err := n.director.do(t.Context(), func() {
			if len(n.director.carrier) != 0 {
				t.Errorf("%d interfaces are remembered that are gone", len(n.director.carrier))
			}
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// inside adds a virtual router on eth1.
func inside(c *config.Config) *config.Config {
	v := c.VRRP[0]
	v.Name, v.Interface, v.RouterID = "inside", "eth1", 52
	v.Addresses = []netip.Prefix{netip.MustParsePrefix("198.51.100.100/24")}
	c.VRRP = append(c.VRRP, v)
	return c
}

// manyPorts is one host on a LAN whatever the interface is called.
type manyPorts struct{ vrrp.Network }

func (m manyPorts) Open(string) (vrrp.Port, error) { return m.Network.Open("eth0") }

func (n *node) reload(c *config.Config) {
	n.t.Helper()
	n.file(c, nil)
	if result, err := n.director.Reload(n.t.Context()); err != nil || !result.Applied {
		n.t.Fatalf("reload: %+v, %v, want it applied", result, err)
	}
}

func (n *node) stateOf(router string) vrrp.State {
	n.t.Helper()
	var role Role
	if err := n.director.do(context.Background(), func() { role = n.director.roles[router] }); err != nil {
		n.t.Fatal(err)
	}
	return role.State
}

func TestAddedRouterOnAnInterfaceThatWasNeverUpWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) { n.network = manyPorts{n.network} })
		defer n.end()
		n.director.event(netif.Event{Kind: netif.LinkUp, Link: link("eth0")})
		n.director.event(netif.Event{Kind: netif.LinkNew, Link: link("eth1")})
		n.director.event(netif.Event{Kind: netif.Synced})
		settle(election)
		n.reload(inside(pairConfig("lvs1")))
		settle(2 * election)
		if got := n.stateOf("inside"); got != vrrp.Init {
			t.Errorf("without carrier the router is %v, want init", got)
		}
		n.director.event(netif.Event{Kind: netif.LinkUp, Link: link("eth1")})
		settle(2 * election)
		if got := n.stateOf("inside"); got != vrrp.Master {
			t.Errorf("with carrier the router is %v, want master", got)
		}
	})
}

func TestAddedRouterOnAnInterfaceThatIsUpAgainStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) {
			n.network = manyPorts{n.network}
			inside(n.config)
		})
		defer n.end()
		settle(election)
		n.director.event(netif.Event{Kind: netif.LinkDown, Link: link("eth1")})
		settle(time.Second)
		n.reload(pairConfig("lvs1"))
		settle(time.Second)
		n.director.event(netif.Event{Kind: netif.LinkUp, Link: link("eth1")})
		settle(time.Second)
		n.reload(inside(pairConfig("lvs1")))
		settle(2 * election)
		if got := n.stateOf("inside"); got != vrrp.Master {
			t.Errorf("the router is %v, want master: its interface came up while nothing was configured on it", got)
		}
	})
}
