package director

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// TestTheDirectorIsItsOwnRealServer: whatever the service's forwarding, the packet
// is handed to this host as it is, so nothing is wrapped and no port is mapped.
func TestTheDirectorIsItsOwnRealServer(t *testing.T) {
	here := config.Real{Address: netip.MustParseAddr("127.0.0.1"), Weight: 3}
	for _, forward := range []string{"dr", "tun", "nat"} {
		cfg := pairConfig("lvs1")
		s := &cfg.Services[0]
		s.Forward, s.Checks = forward, nil
		s.Attributes.Tunnel = config.Tunnel{Type: "gue", Port: 6080}
		s.Real = []config.Real{here}
		got := Compute(Inputs{Config: cfg, Roles: master()})
		want := ipvsctl.Dest{Key: ipvsctl.DestKey{Address: here.Address, Port: 80}, Forward: ipvsctl.Local, Weight: 3}
		if len(got.Table) != 1 || len(got.Table[0].Dests) != 1 || got.Table[0].Dests[0] != want {
			t.Errorf("forward %s: %+v, want %+v alone", forward, got.Table, want)
		}
		if err := got.Table.Validate(); err != nil {
			t.Errorf("forward %s: %v", forward, err)
		}
	}
}

// TestTheDirectorIsTheSorryServerOfBothFamilies: each listener has the loopback
// address of its own family.
func TestTheDirectorIsTheSorryServerOfBothFamilies(t *testing.T) {
	cfg := pairConfig("lvs1")
	s := &cfg.Services[0]
	s.Checks = nil
	s.Listen = append(s.Listen, netip.MustParseAddrPort("[2001:db8::100]:80"))
	s.Real = []config.Real{{Address: netip.MustParseAddr("192.0.2.11")}, {Address: netip.MustParseAddr("2001:db8::11")}}
	s.Pool.Sorry = &config.Real{Address: netip.MustParseAddr("127.0.0.1"), Weight: 1}
	for _, listen := range s.Listen {
		sorry := s.At(listen).Pool.Sorry
		if sorry == nil || !sorry.Local() || sorry.Address.Is4() != listen.Addr().Is4() {
			t.Errorf("the sorry server at %s is %v, want the loopback address of its family", listen, sorry)
		}
	}
	if s.Pool.Sorry.Address != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("the service itself was changed: %v", s.Pool.Sorry)
	}
}

// TestTheLoopbackAddressIsNoServerOfAnotherDirector: each director has one of its
// own, which must not rest because another has it too.
func TestTheLoopbackAddressIsNoServerOfAnotherDirector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here := netip.MustParseAddr("127.0.0.1")
		n := alone(t, func(n *node) {
			n.config = pairConfig("lvs1")
			n.config.Services[0].Real[0].Address = here
			for _, prefix := range []string{"127.0.0.1/8", "192.0.2.12/24"} {
				n.host.addresses = append(n.host.addresses, netif.PresentAddress{Address: netif.Address{Interface: "x", Prefix: netip.MustParsePrefix(prefix)}})
			}
		})
		defer n.end()
		settle(election)
		var serves []netip.Addr
		if err := n.director.do(t.Context(), func() { serves = n.director.serves() }); err != nil {
			t.Fatal(err)
		}
		if len(serves) != 1 || serves[0] != netip.MustParseAddr("192.0.2.12") {
			t.Errorf("it tells the others that it serves at %v, want its real address alone", serves)
		}
	})
}
