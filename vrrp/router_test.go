package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// The order of the addresses is the sender's affair: receivers compare sets.
func TestAddressListsAreComparedAsSets(t *testing.T) {
	other := netip.MustParseAddr("192.0.2.101")
	cfg := config(100)
	cfg.Addresses = []netip.Addr{vip, other}
	r := &router{cfg: cfg, machine: NewMachine(cfg, beta, time.Time{})}
	for _, test := range []struct {
		list []netip.Addr
		same bool
	}{
		{[]netip.Addr{vip, other}, true},
		{[]netip.Addr{other, vip}, true},
		{[]netip.Addr{vip, other, vip}, true},
		{[]netip.Addr{vip}, false},
		{[]netip.Addr{vip, other, alpha}, false},
	} {
		r.mismatch = ""
		r.compare(alpha, &Packet{Interval: time.Second, Addresses: test.list})
		if got := r.mismatch == ""; got != test.same {
			t.Errorf("%v is the same as %v: %v, want %v", test.list, cfg.Addresses, got, test.same)
		}
	}
}

// What one router does otherwise is not made good by another one that does not,
// unless that one is the master.
func TestMismatchIsOfOneRouter(t *testing.T) {
	cfg := config(100)
	r := &router{cfg: cfg, machine: NewMachine(cfg, beta, time.Time{})}
	good := &Packet{Interval: time.Second, Addresses: []netip.Addr{vip}}
	if !r.compare(alpha, &Packet{Interval: 2 * time.Second, Addresses: []netip.Addr{vip}}) {
		t.Error("another interval is no news")
	}
	if r.compare(gamma, good); r.mismatch == "" {
		t.Error("another router made it good")
	}
	r.machine.master = gamma
	if r.compare(gamma, good); r.mismatch != "" {
		t.Errorf("mismatch = %q, want none: the master agrees", r.mismatch)
	}
}
