package director

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

// throughVIP is a pair whose checks go to the virtual address.
func throughVIP(forward string) *config.Config {
	c := pairConfig("lvs1")
	c.MarkBase = 0x48410000
	c.Services[0].Forward = forward
	c.Services[0].Checks[0].ThroughVIP = true
	return c
}

func markedServices(t ipvsctl.Table) ipvsctl.Table {
	return slices.DeleteFunc(slices.Clone(t), func(s ipvsctl.Service) bool { return s.Key.FWMark == 0 })
}

func TestAPathLeadsToOneRealServerInEveryRole(t *testing.T) {
	c := throughVIP("dr")
	targets := NewProbes(c).targets
	if len(targets) != 2 || targets[0].Mark == targets[1].Mark {
		t.Fatalf("targets %+v, want two with marks of their own", targets)
	}
	for i, target := range targets {
		real := netip.AddrPortFrom(c.Services[0].Real[i].Address, 80)
		if target.Address != c.Services[0].Listen[0] || target.Real != real || target.ID != fmt.Sprintf("tcp 192.0.2.100:80 via %s", real) {
			t.Errorf("target %+v, want the virtual address via %s", target, real)
		}
		if target.Mark-c.MarkBase >= config.MarkCount {
			t.Errorf("mark %#x is none of ours", target.Mark)
		}
		if err := target.Validate(); err != nil {
			t.Errorf("%s: %v", target.ID, err)
		}
	}
	for _, state := range []vrrp.State{vrrp.Master, vrrp.Backup} {
		got := markedServices(Compute(Inputs{Config: c, Roles: map[string]Role{"edge": {State: state, Decided: true}}}).Table)
		var want ipvsctl.Table
		for _, target := range targets {
			want = append(want, ipvsctl.Service{
				Key: ipvsctl.ServiceKey{FWMark: target.Mark, Family: ipvsctl.IPv4}, Scheduler: "wlc",
				Dests: []ipvsctl.Dest{{Key: ipvsctl.DestKey{Address: target.Real.Addr()}, Forward: ipvsctl.DR, Weight: 1}},
			})
		}
		if d := cmp.Diff(want.Canonical(), got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
			t.Errorf("paths of a %s (-want +got):\n%s", state, d)
		}
	}
	over := Compute(Inputs{Config: c, Roles: map[string]Role{"edge": {State: vrrp.Init, Reason: vrrp.ReasonShutdown}}})
	if got := markedServices(over.Table); len(got) != 0 {
		t.Errorf("paths of a node that has stopped: %v", got)
	}
}

func TestPathsAreSharedAndKeepTheirMarks(t *testing.T) {
	c := throughVIP("dr")
	before := NewProbes(c)
	c.Services = append(c.Services, c.Services[0])
	c.Services[1].Name = "again"
	c.Services[1].Listen = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.100:443")}
	c.Services[0].Real = slices.Insert(slices.Clone(c.Services[0].Real), 0, config.Real{Address: netip.MustParseAddr("192.0.2.9"), Weight: 1})
	after := NewProbes(c)
	if len(after.paths) != 3 || len(after.targets) != 5 {
		t.Errorf("%d paths for %d targets, want 3 for 5", len(after.paths), len(after.targets))
	}
	for way, mark := range before.marks {
		if after.marks[way] != mark {
			t.Errorf("the mark of %s became %#x, want %#x still", way, after.marks[way], mark)
		}
	}
}

func TestNoTwoPathsShareAMark(t *testing.T) {
	c := throughVIP("dr")
	s := &c.Services[0]
	s.Real = nil
	for i := range 2000 {
		s.Real = append(s.Real, config.Real{Address: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), Weight: 1})
	}
	p := NewProbes(c)
	seen := make(map[uint32]bool)
	for _, way := range p.paths {
		seen[way.Key.FWMark] = true
	}
	if len(seen) != 2000 {
		t.Errorf("%d marks for 2000 paths", len(seen))
	}
}

func TestANATPathMapsThePort(t *testing.T) {
	c := throughVIP("nat")
	c.Services[0].Real = []config.Real{{Address: netip.MustParseAddr("192.0.2.11"), Port: 8080, Weight: 1}}
	p := NewProbes(c)
	if got := p.paths[0].Dests[0]; got.Key.Port != 8080 || got.Forward != ipvsctl.NAT {
		t.Errorf("the path leads to %+v, want port 8080 by NAT", got)
	}
	if got := p.targets[0]; got.Address != c.Services[0].Listen[0] || got.Real.Port() != 8080 {
		t.Errorf("target %+v, want the listener's port, and 8080 of the server", got)
	}
	c.Services[0].Checks[0].Port = 9000
	if p = NewProbes(c); p.paths[0].Dests[0].Key.Port != 9000 || p.targets[0].Address.Port() != 80 {
		t.Errorf("with a port of its own: %+v by %+v", p.targets[0], p.paths[0])
	}
	dr := throughVIP("dr")
	dr.Services[0].Checks[0].Port = 9000
	if p = NewProbes(dr); p.paths[0].Dests[0].Key.Port != 0 || p.targets[0].Address.Port() != 9000 {
		t.Errorf("the same by DR: %+v by %+v", p.targets[0], p.paths[0])
	}
}

func TestAnswersFromTheVirtualAddressAreAccepted(t *testing.T) {
	accept := netif.Sysctl{Path: "net/ipv4/conf/eth0/accept_local", Value: "1"}
	for forward, want := range map[string]bool{"dr": true, "tun": true, "nat": false} {
		if got := slices.Contains(Sysctls(throughVIP(forward)), accept); got != want {
			t.Errorf("%s: %v set: %v, want %v", forward, accept, got, want)
		}
	}
	if slices.Contains(Sysctls(pairConfig("lvs1")), accept) {
		t.Errorf("%v is set though no check needs it", accept)
	}
}
