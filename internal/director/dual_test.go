package director

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/peer"
	"github.com/haldir-lb/haldir/vrrp"
)

var (
	vip6     = netip.MustParsePrefix("2001:db8::100/64")
	local6   = netip.MustParsePrefix("fe80::100/64")
	listen6  = netip.MustParseAddrPort("[2001:db8::100]:80")
	real6    = netip.MustParseAddr("2001:db8::11")
	master6  = Role{State: vrrp.Master, Decided: true}
	backup6  = Role{State: vrrp.Backup, Decided: true}
	dualUp   = []string{"tcp 192.0.2.11:80", "tcp [2001:db8::11]:80"}
	dualName = "edge/ipv6"
)

// dualConfig is pairConfig with both families, and a real server of each.
func dualConfig(node string) *config.Config {
	c := pairConfig(node)
	c.VRRP[0].Addresses = append(c.VRRP[0].Addresses, vip6, local6)
	s := &c.Services[0]
	s.Listen = append(s.Listen, listen6)
	s.Real = []config.Real{{Address: netip.MustParseAddr("192.0.2.11"), Weight: 1}, {Address: real6, Weight: 1}}
	return c
}

func TestEachFamilyIsARouterOfOneGroup(t *testing.T) {
	got := Routers(dualConfig("lvs1"))
	if len(got) != 2 || got[0].Name != "edge" || got[1].Name != dualName || got[0].Group == "" || got[0].Group != got[1].Group {
		t.Fatalf("routers %+v, want edge and edge/ipv6 of one group", got)
	}
	if want := []netip.Addr{vip6.Addr(), local6.Addr()}; !slices.Equal(got[1].Addresses, want) || len(got[0].Addresses) != 1 {
		t.Errorf("addresses %v and %v, want each family's", got[0].Addresses, got[1].Addresses)
	}
	for _, r := range got {
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
	}
	if got := Routers(pairConfig("lvs1")); got[0].Group != "" {
		t.Errorf("a router of one family is in group %q", got[0].Group)
	}
}

// What belongs to a family goes with the role of its router, and a service's
// listeners have the servers of their family.
func TestFamiliesHaveWhatTheirRouterHolds(t *testing.T) {
	for name, roles := range map[string]map[string]Role{
		"both":       {"edge": master6, dualName: master6},
		"none":       {"edge": backup6, dualName: backup6},
		"IPv6 alone": {"edge": backup6, dualName: master6},
	} {
		got := Compute(Inputs{Config: dualConfig("lvs1"), Roles: roles, Health: up(dualUp...)})
		var addresses, servers []string
		for _, a := range got.Addresses {
			addresses = append(addresses, a.Prefix.String())
		}
		for _, s := range got.Table {
			for _, dest := range s.Dests {
				servers = append(servers, s.Key.Address.String()+" by "+dest.Key.Address.String())
			}
		}
		var wantAddresses, wantServers []string
		if name == "both" {
			wantAddresses, wantServers = []string{"192.0.2.100/24"}, []string{"192.0.2.100 by 192.0.2.11"}
		}
		if name != "none" {
			wantAddresses = append(wantAddresses, vip6.String(), local6.String())
			wantServers = append(wantServers, "2001:db8::100 by 2001:db8::11")
		}
		slices.Sort(servers)
		if !slices.Equal(addresses, wantAddresses) || !slices.Equal(servers, wantServers) {
			t.Errorf("%s: addresses %v, servers %v; want %v, %v", name, addresses, servers, wantAddresses, wantServers)
		}
	}
}

func TestEachFamilyIsCheckedAtItsOwnServers(t *testing.T) {
	var got []string
	for _, target := range NewProbes(dualConfig("lvs1")).targets {
		got = append(got, target.ID)
	}
	if !slices.Equal(got, dualUp) {
		t.Errorf("targets %v, want %v", got, dualUp)
	}
	down := up(dualUp[0])
	down[dualUp[1]] = healthcheck.Verdict{ID: dualUp[1], Status: healthcheck.Down}
	table := Compute(Inputs{Config: dualConfig("lvs1"), Roles: map[string]Role{"edge": master6, dualName: master6}, Health: down}).Table
	if table[0].Key.Address.Is6() {
		slices.Reverse(table)
	}
	if len(table[0].Dests) != 1 || len(table[1].Dests) != 0 {
		t.Errorf("table %+v, want a server over IPv4 alone", table)
	}
}

// A tunnel carries IPv6 to a server that has IPv4 alone.
func TestTunnelCarriesTheOtherFamily(t *testing.T) {
	c := dualConfig("lvs1")
	s := &c.Services[0]
	s.Forward, s.Checks = "tun", nil
	s.Real = s.Real[:1]
	for _, got := range Compute(Inputs{Config: c, Roles: map[string]Role{"edge": master6, dualName: master6}}).Table {
		if len(got.Dests) != 1 || got.Dests[0].Key.Address != s.Real[0].Address {
			t.Errorf("%v is served by %+v, want the IPv4 server", got.Key, got.Dests)
		}
	}
}

func TestSysctlsOfIPv6(t *testing.T) {
	forwards := func(listen ...netip.AddrPort) (four, six bool) {
		c := dualConfig("lvs1")
		c.Services[0].Forward, c.Services[0].Listen = "nat", listen
		all := Sysctls(c)
		return slices.Contains(all, netif.Sysctl{Path: "net/ipv4/conf/eth0/forwarding", Value: "1"}),
			slices.Contains(all, netif.Sysctl{Path: netif.Forwarding6, Value: "1"})
	}
	listen4 := netip.MustParseAddrPort("192.0.2.100:80")
	if four, six := forwards(listen4, listen6); !four || !six {
		t.Errorf("NAT of both families forwards IPv4 %v, IPv6 %v", four, six)
	}
	if four, six := forwards(listen6); four || !six {
		t.Errorf("NAT of IPv6 forwards IPv4 %v, IPv6 %v", four, six)
	}
	if four, six := forwards(listen4); !four || six {
		t.Errorf("NAT of IPv4 forwards IPv4 %v, IPv6 %v", four, six)
	}
	if slices.ContainsFunc(Sysctls(dualConfig("lvs1")), func(s netif.Sysctl) bool { return s.Path == netif.Forwarding6 }) {
		t.Error("DR forwards IPv6")
	}
}

// A reload that takes the IPv6 addresses away has that router alone hand over, and
// until it has, its addresses and services stay.
func TestIPv6LeavesAloneAtAReload(t *testing.T) {
	old, next := dualConfig("lvs1"), pairConfig("lvs1")
	next.Services[0].Real = old.Services[0].Real[:1]
	d := New(Options{})
	d.roles = map[string]Role{"edge": master6, dualName: master6}
	d.retire(old, next)
	d.config = next
	if len(d.retired) != 1 || d.retired[0].router.Name != dualName {
		t.Fatalf("leavers %+v, want edge/ipv6", d.retired)
	}
	got := Compute(Inputs{Config: d.effective(), Roles: d.roles, Health: up(dualUp...)})
	if len(got.Addresses) != 3 || len(got.Table) != 2 {
		t.Errorf("addresses %v, table %v, want all as before", got.Addresses, got.Table)
	}
	d.roles[dualName] = Role{State: vrrp.Init, Reason: vrrp.ReasonSuccessor, Decided: true}
	got = Compute(Inputs{Config: d.effective(), Roles: d.roles, Health: up(dualUp...)})
	if len(got.Addresses) != 1 || len(got.Table) != 1 {
		t.Errorf("addresses %v, table %v, want those of IPv4 alone", got.Addresses, got.Table)
	}
}

// Directors talk to one another over IPv4 where they have it.
func TestPeerPathsOfFamilies(t *testing.T) {
	c := dualConfig("lvs1")
	if got := peerPaths(c); len(got) != 1 || got[0].IPv6 {
		t.Errorf("paths %+v, want one over IPv4", got)
	}
	c.VRRP[0].Addresses = c.VRRP[0].Addresses[1:]
	if got, want := peerPaths(c), []peer.Path{{Interface: "eth0", IPv6: true}}; !reflect.DeepEqual(got, want) {
		t.Errorf("paths %+v, want %+v", got, want)
	}
}
