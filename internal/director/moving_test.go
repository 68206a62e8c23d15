package director

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/vrrp"
)

// movingConfig is a pair whose router has something of each kind to move.
func movingConfig() *config.Config {
	c := pairConfig("lvs1")
	c.VRRP[0].Also = []config.Extra{{Prefix: netip.MustParsePrefix("198.51.100.7/24"), Interface: "eth1", Label: "eth1:also"}}
	c.VRRP[0].Routes = []config.Route{{Kind: "unicast", Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.254"), Table: 100}}
	c.VRRP[0].Rules = []config.Rule{{From: netip.MustParsePrefix("192.0.2.100/32"), Table: 100, Priority: 1000}}
	return c
}

func TestWhatMovesIsThereWithTheRoleAlone(t *testing.T) {
	extra := netif.Address{Interface: "eth1", Prefix: netip.MustParsePrefix("198.51.100.7/24")}
	got := Compute(Inputs{Config: movingConfig(), Roles: master()})
	if want := []netif.Address{vip, extra}; !reflect.DeepEqual(got.Addresses, want) {
		t.Errorf("addresses %v, want %v", got.Addresses, want)
	}
	if want := map[netif.Address]netif.Attributes{extra: {Label: "eth1:also"}}; !reflect.DeepEqual(got.Attributes, want) {
		t.Errorf("attributes %v, want %v", got.Attributes, want)
	}
	// It is announced where it is.
	if _, ok := got.Announce[arp.Target{Interface: "eth1", Address: extra.Prefix.Addr()}]; !ok {
		t.Errorf("announcements %v, want one of %v", got.Announce, extra)
	}
	want := netif.Routing{
		Routes: []netif.VirtualRoute{{Kind: netif.Unicast, Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.254"), Table: 100}},
		Rules:  []netif.VirtualRule{{From: netip.MustParsePrefix("192.0.2.100/32"), Table: 100, Priority: 1000}},
	}
	if !reflect.DeepEqual(got.Routing, want) {
		t.Errorf("routing %+v, want %+v", got.Routing, want)
	}
	backup := Compute(Inputs{Config: movingConfig(), Roles: map[string]Role{"edge": {State: vrrp.Backup, Decided: true}}})
	if len(backup.Addresses) != 0 || len(backup.Attributes) != 0 || !backup.Routing.Empty() {
		t.Errorf("a backup wants %+v, want nothing", backup)
	}
}
