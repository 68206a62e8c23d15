package director

import (
	"net/netip"
	"testing"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

func TestARedirectIsTheRealServersOwnAffair(t *testing.T) {
	listen := netip.MustParseAddrPort("192.0.2.100:80")
	real := config.Real{Address: netip.MustParseAddr("192.0.2.11"), Weight: 1}
	redirecting := real
	redirecting.Port, redirecting.Redirects = 8080, true
	for _, tt := range []struct {
		name    string
		service config.Service
		want    ipvsctl.Dest
	}{
		{"a port of its own", config.Service{Forward: "dr", Redirect: true, Real: []config.Real{redirecting}},
			ipvsctl.Dest{Key: ipvsctl.DestKey{Address: real.Address, Port: 80}, Forward: ipvsctl.DR, Weight: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.service
			s.Name, s.VRRP, s.Protocol, s.Scheduler, s.Listen = "web", "edge", "tcp", "rr", []netip.AddrPort{listen}
			c := &config.Config{VRRP: []config.VRRP{{Name: "edge", Priority: 100}}, Services: []config.Service{s}}
			got := Compute(Inputs{Config: c, Roles: map[string]Role{"edge": {State: vrrp.Master, Decided: true}}})
			if len(got.Table) != 1 || len(got.Table[0].Dests) != 1 || got.Table[0].Dests[0] != tt.want {
				t.Errorf("table %+v, want the destination %+v", got.Table, tt.want)
			}
			if err := got.Table.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}
