package director

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

const vlink = "vr4.51.eth0"

func vmacConfig(node string) *config.Config {
	c := pairConfig(node)
	c.VRRP[0].VMAC = true
	return c
}

func TestVirtualMACOfAMaster(t *testing.T) {
	c := vmacConfig("lvs1")
	c.VRRP[0].Also = []config.Extra{
		{Prefix: netip.MustParsePrefix("192.0.2.101/24")},
		{Prefix: netip.MustParsePrefix("192.0.2.102/24"), Interface: "eth1"},
		{Prefix: netip.MustParsePrefix("2001:db8::1/64")},
	}
	got := Compute(Inputs{Config: c, Roles: master()})
	link := netif.NewVirtualLink("eth0", 51, false)
	link.Up = true
	if !reflect.DeepEqual(got.Links, []netif.VirtualLink{link}) {
		t.Errorf("links %+v, want %+v", got.Links, link)
	}
	// Of another interface or family, an address has that interface's own MAC address.
	want := map[string]bool{vlink: true, "eth1": false, "eth0": false}
	var on []string
	for _, a := range got.Addresses {
		on = append(on, a.Interface)
		if got.Attributes[a].NoRoute != want[a.Interface] {
			t.Errorf("%s: NoRoute %v, want %v", a, got.Attributes[a].NoRoute, want[a.Interface])
		}
		target := arp.Target{Interface: a.Interface, Address: a.Prefix.Addr()}
		if got.Announce[target].MovingMAC != want[a.Interface] {
			t.Errorf("%s is announced with a moving MAC address: %v, want %v", target, !want[a.Interface], want[a.Interface])
		}
	}
	if wantOn := []string{vlink, vlink, "eth1", "eth0"}; !slices.Equal(on, wantOn) {
		t.Errorf("addresses on %v, want %v", on, wantOn)
	}
	if r := Routers(c)[0]; r.Via != vlink {
		t.Errorf("adverts by %q, want %q", r.Via, vlink)
	}
}

func TestVirtualMACOfTheOthers(t *testing.T) {
	for name, test := range map[string]struct {
		node string
		role Role
		want []netif.VirtualLink
	}{
		"backup":        {"lvs1", Role{State: vrrp.Backup}, []netif.VirtualLink{netif.NewVirtualLink("eth0", 51, false)}},
		"no director":   {"elsewhere", Role{}, nil},
		"after the end": {"lvs1", Role{State: vrrp.Init, Reason: vrrp.ReasonShutdown}, nil},
	} {
		got := Compute(Inputs{Config: vmacConfig(test.node), Roles: map[string]Role{"edge": test.role}}).Links
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: links %+v, want %+v", name, got, test.want)
		}
	}
}

// TestVirtualMACMoves follows a node through a takeover and a hand-over: it answers
// when everything is there, falls silent when its successor has announced, and lets
// go after that.
func TestVirtualMACMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan, wire := vrrptest.NewLAN(), &segment{}
		hosts := []*fakeHost{newFakeHost(), newFakeHost()}
		// What a dead node left.
		hosts[1].links = []netif.VirtualLink{{Name: vlink, Up: true}}
		var nodes []*node
		for i, name := range []string{"lvs1", "lvs2"} {
			hosts[i].segment = wire
			c := vmacConfig(name)
			c.Services = nil
			n := newNode(t, c, lan.Host(name, "eth0", netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})), hosts[i])
			defer n.end()
			nodes = append(nodes, n)
		}
		better, worse := nodes[0], nodes[1]
		worse.startSpeaker()
		worse.startDirector()
		settle(election)
		wantCalls(t, worse.host, "the start of the only node",
			"unlink "+vlink, "link "+vlink, "add 192.0.2.100/24", "raise "+vlink, "announce 192.0.2.100")
		better.startSpeaker()
		better.startDirector()
		settle(election)
		wantCalls(t, better.host, "the start of the better one",
			"link "+vlink, "add 192.0.2.100/24", "raise "+vlink, "announce 192.0.2.100")
		calls := worse.host.did()
		i := slices.Index(calls, vlink+" muted: true")
		if want := []string{vlink + " muted: true", "lower " + vlink, "remove 192.0.2.100/24"}; i < 0 || !slices.Equal(calls[i:], want) {
			t.Errorf("giving way did %q, want %q at the end", calls, want)
		}
	})
}

// TestVirtualMACLingers: what was said after the successor's announcement may have
// drawn the switches back until it announces again.
func TestVirtualMACLingers(t *testing.T) {
	d := New(Options{})
	d.config = vmacConfig("lvs1")
	now := time.Now()
	d.claims[netip.MustParseAddr("192.0.2.100")] = claim{at: now}
	leave := vrrp.Transition{Router: "edge", From: vrrp.Leaving, To: vrrp.Backup, Reason: vrrp.ReasonSuccessor}
	before := Role{State: vrrp.Leaving, Gave: now.Add(-time.Second)}
	for muted, want := range map[time.Duration]bool{0: true, muteLinger + time.Second: false} {
		before.Muted = now.Add(-muted)
		if got := d.yields(leave, before); got != want {
			t.Errorf("muted for %v: goes on receiving: %v, want %v", muted, got, want)
		}
	}
	before.Muted = time.Time{}
	d.config = pairConfig("lvs1")
	if d.yields(leave, before) {
		t.Error("without a virtual MAC address it goes on, though the successor has announced")
	}
}
