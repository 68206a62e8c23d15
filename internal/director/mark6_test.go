package director

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/mark"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

// TestAMarkIsAServiceOfEachFamily: what is marked, and which service is in the
// kernel, follows the router of that family.
func TestAMarkIsAServiceOfEachFamily(t *testing.T) {
	cfg := pairConfig("lvs1")
	addr := netip.MustParseAddr
	cfg.VRRP[0].Addresses = append(cfg.VRRP[0].Addresses, netip.MustParsePrefix("2001:db8::100/64"))
	s := &cfg.Services[0]
	s.Checks, s.FWMark = nil, 7
	s.Marked = []config.Range{
		{From: addr("192.0.2.100"), To: addr("192.0.2.100"), FromPort: 80, ToPort: 89},
		{From: addr("2001:db8::100"), To: addr("2001:db8::10f"), FromPort: 80, ToPort: 89},
	}
	s.Listen = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.100:0"), netip.MustParseAddrPort("[2001:db8::100]:0")}
	s.Real = []config.Real{{Address: addr("192.0.2.11"), Weight: 1}, {Address: addr("2001:db8::11"), Weight: 1}}
	type result struct {
		Keys  []ipvsctl.ServiceKey
		Dests []netip.Addr
		Marks []mark.Rule
	}
	key := func(f ipvsctl.Family) ipvsctl.ServiceKey { return ipvsctl.ServiceKey{FWMark: 7, Family: f} }
	rule := func(i int) mark.Rule {
		r := s.Marked[i]
		return mark.Rule{Mark: 7, Protocol: 6, FromPort: 80, ToPort: 89, Addresses: []mark.Span{{From: r.From, To: r.To}}}
	}
	holds, not := Role{State: vrrp.Master, Decided: true}, Role{State: vrrp.Backup, Decided: true}
	for name, c := range map[string]struct {
		roles map[string]Role
		want  result
	}{
		"both": {map[string]Role{"edge": holds, "edge/ipv6": holds}, result{
			[]ipvsctl.ServiceKey{key(ipvsctl.IPv4), key(ipvsctl.IPv6)}, []netip.Addr{s.Real[0].Address, s.Real[1].Address}, []mark.Rule{rule(0), rule(1)},
		}},
		"IPv6 alone": {map[string]Role{"edge": not, "edge/ipv6": holds}, result{
			[]ipvsctl.ServiceKey{key(ipvsctl.IPv6)}, []netip.Addr{s.Real[1].Address}, []mark.Rule{rule(1)},
		}},
	} {
		desired := Compute(Inputs{Config: cfg, Roles: c.roles})
		got := result{Marks: desired.Marks}
		for _, service := range desired.Table {
			got.Keys = append(got.Keys, service.Key)
			for _, d := range service.Dests {
				got.Dests = append(got.Dests, d.Key.Address)
			}
		}
		if diff := cmp.Diff(c.want, got, cmpopts.EquateComparable(netip.Addr{}, ipvsctl.ServiceKey{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got, want := listenText(*s, s.Listen[1]), "fwmark 7: [2001:db8::100-2001:db8::10f]:80-89"; got != want {
		t.Errorf("the listener is called %q, want %q", got, want)
	}
}
