package director

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

func withoutAnything() *config.Config {
	c := pairConfig("lvs1")
	c.VRRP, c.Services = nil, nil
	return c
}

// forwards reports whether a node has the address and the service of it.
func (n *node) forwards() bool {
	live, _ := n.host.Table(n.t.Context())
	return n.holds() && len(live) == 1 && len(live[0].Dests) == 1
}

func (n *node) addresses() []netif.Address {
	all, _ := n.host.Addresses(n.t.Context())
	var out []netif.Address
	for _, p := range all {
		out = append(out, p.Address)
	}
	return out
}

// pairOf returns lvs1 as master and lvs2 as backup, with one server that is up.
func pairOf(t *testing.T) (one, two *node) {
	lan := vrrptest.NewLAN()
	one = newNode(t, pairConfig("lvs1"), lan.Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1")), newFakeHost())
	two = newNode(t, pairConfig("lvs2"), lan.Host("lvs2", "eth0", netip.MustParseAddr("192.0.2.2")), newFakeHost())
	wire := &segment{}
	for _, n := range []*node{one, two} {
		n.host.segment = wire
		n.startSpeaker()
		n.startDirector()
	}
	settle(time.Second)
	one.judge(web1, "up")
	two.judge(web1, "up")
	settle(2 * election)
	return one, two
}

// TestRemovedRouterForwardsUntilItsSuccessorDoes: the services go with the role,
// not with the reload.
func TestRemovedRouterForwardsUntilItsSuccessorDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := pairOf(t)
		defer one.end()
		defer two.end()
		one.reload(withoutAnything())
		for began := time.Now(); one.holds() || !two.forwards(); settle(time.Millisecond) {
			if !one.forwards() && !two.forwards() {
				t.Fatalf("%v after the reload nobody forwards", time.Since(began))
			}
			if time.Since(began) > 2*election {
				t.Fatal("lvs1 keeps the address")
			}
		}
		settle(2 * time.Second)
		if live, _ := one.host.Table(t.Context()); len(live) != 0 {
			t.Errorf("services left: %v", live)
		}
		var told []string
		for len(one.targets) > 0 {
			told = nil
			for _, target := range (<-one.targets).Targets {
				told = append(told, target.ID)
			}
		}
		if len(told) != 0 {
			t.Errorf("the checker goes on with %q", told)
		}
	})
}

// moved has the router of pairConfig on another interface.
func moved() *config.Config {
	c := pairConfig("lvs1")
	c.VRRP[0].Interface = "eth1"
	return c
}

// TestMovedRouterHandsOverWhereItWas: it is not master yet where it comes to.
func TestMovedRouterHandsOverWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) { n.network = manyPorts{n.network} })
		defer n.end()
		settle(2 * election)
		n.reload(moved())
		there := netif.Address{Interface: "eth1", Prefix: vip.Prefix}
		for began := time.Now(); n.stateOf("edge") != vrrp.Init && n.stateOf("edge") != vrrp.Backup; settle(10 * time.Millisecond) {
			if got := n.addresses(); !slices.Equal(got, []netif.Address{vip}) {
				t.Fatalf("%v after the reload, state %v: addresses %v, want %v", time.Since(began), n.stateOf("edge"), got, vip)
			}
		}
		settle(time.Second)
		if got := n.addresses(); len(got) != 0 {
			t.Errorf("as a backup: addresses %v, want none", got)
		}
		settle(2 * election)
		if got := n.addresses(); !slices.Equal(got, []netif.Address{there}) {
			t.Errorf("in the end: addresses %v, want %v", got, there)
		}
	})
}

// TestRouterThatComesBackDropsWhatItWas: removed and added again before it has
// handed over, with another address.
func TestRouterThatComesBackDropsWhatItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.reload(withoutAnything())
		next := withoutAnything()
		next.VRRP = pairConfig("lvs1").VRRP
		other := netip.MustParsePrefix("192.0.2.101/24")
		next.VRRP[0].Addresses = []netip.Prefix{other}
		n.reload(next)
		settle(4 * election)
		want := []netif.Address{{Interface: "eth0", Prefix: other}}
		if got := n.addresses(); !slices.Equal(got, want) {
			t.Errorf("addresses %v, want %v", got, want)
		}
	})
}

// TestSpeakerThatDiesWhileARemovedRouterLeaves: its successor knows nothing of
// that router, so nobody else will ever say that it has left.
func TestSpeakerThatDiesWhileARemovedRouterLeaves(t *testing.T) {
	unlisted := pairConfig("lvs1")
	unlisted.VRRP[0].Priority = 0
	for name, next := range map[string]*config.Config{"removed": withoutAnything(), "not of this node": unlisted} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := running(t)
				defer n.end()
				n.reload(next)
				settle(100 * time.Millisecond)
				n.killSpeaker()
				setDied(t, time.Now())
				settle(10 * time.Millisecond)
				n.startSpeaker()
				settle(2 * election)
				if n.holds() {
					t.Error("the address is still there")
				}
			})
		})
	}
}

func TestSpeakerThatDiesWhileAMovedRouterLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) { n.network = manyPorts{n.network} })
		defer n.end()
		settle(2 * election)
		n.reload(moved())
		settle(100 * time.Millisecond)
		n.killSpeaker()
		setDied(t, time.Now())
		settle(10 * time.Millisecond)
		n.startSpeaker()
		settle(4 * election)
		if got := n.stateOf("edge"); got != vrrp.Master {
			t.Errorf("the router is %v, want master where it is now", got)
		}
	})
}
