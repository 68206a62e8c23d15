package director

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

var (
	webKey = ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: netip.MustParseAddr("192.0.2.100"), Port: 80}
	vip    = netif.Address{Interface: "eth0", Prefix: netip.MustParsePrefix("192.0.2.100/24")}
	target = arp.Target{Interface: "eth0", Address: netip.MustParseAddr("192.0.2.100")}
)

func up(ids ...string) map[string]healthcheck.Verdict {
	m := make(map[string]healthcheck.Verdict)
	for _, id := range ids {
		m[id] = healthcheck.Verdict{ID: id, Status: healthcheck.Up}
	}
	return m
}

func master() map[string]Role {
	return map[string]Role{"edge": {State: vrrp.Master, Decided: true, Epoch: time.Unix(7, 0)}}
}

func TestMasterHasAddressesTableAndAnnouncements(t *testing.T) {
	got := Compute(Inputs{Config: pairConfig("lvs1"), Roles: master(), Health: up("tcp 192.0.2.11:80", "tcp 192.0.2.12:80")})
	if want := []netif.Address{vip}; !reflect.DeepEqual(got.Addresses, want) {
		t.Errorf("addresses %v, want %v", got.Addresses, want)
	}
	wantTable := ipvsctl.Table{{
		Key: webKey, Scheduler: "wlc",
		Dests: []ipvsctl.Dest{
			{Key: ipvsctl.DestKey{Address: netip.MustParseAddr("192.0.2.11"), Port: 80}, Forward: ipvsctl.DR, Weight: 1},
			{Key: ipvsctl.DestKey{Address: netip.MustParseAddr("192.0.2.12"), Port: 80}, Forward: ipvsctl.DR, Weight: 2},
		},
	}}.Canonical()
	if !reflect.DeepEqual(got.Table, wantTable) {
		t.Errorf("table %+v, want %+v", got.Table, wantTable)
	}
	wantSchedule := arp.Schedule{Burst: 5, Spacing: 200 * time.Millisecond}
	if got.Announce[target] != wantSchedule || !got.Epochs[target].Equal(time.Unix(7, 0)) {
		t.Errorf("announcements %v in epochs %v, want %v in %v", got.Announce, got.Epochs, wantSchedule, time.Unix(7, 0))
	}
}

func TestLeavingRouterKeepsEverythingButAnnouncements(t *testing.T) {
	roles := map[string]Role{"edge": {State: vrrp.Leaving, Decided: true}}
	got := Compute(Inputs{Config: pairConfig("lvs1"), Roles: roles, Health: up("tcp 192.0.2.11:80")})
	if len(got.Addresses) != 1 || len(got.Table) != 1 || len(got.Announce) != 0 {
		t.Errorf("%d addresses, %d services, %d announcements, want 1, 1, 0", len(got.Addresses), len(got.Table), len(got.Announce))
	}
}

func TestBackupHasNothing(t *testing.T) {
	roles := map[string]Role{"edge": {State: vrrp.Backup, Decided: true}}
	got := Compute(Inputs{Config: pairConfig("lvs2"), Roles: roles, Health: up("tcp 192.0.2.11:80")})
	if len(got.Addresses)+len(got.Table)+len(got.Announce)+len(got.Untouched) != 0 {
		t.Errorf("a backup wants %+v, want nothing", got)
	}
}

func TestUndecidedRoleLeavesServicesUntouched(t *testing.T) {
	got := Compute(Inputs{Config: pairConfig("lvs2"), Roles: map[string]Role{"edge": {State: vrrp.Backup}}})
	if len(got.Table) != 0 || !got.Untouched[webKey] {
		t.Errorf("table %v, untouched %v, want the service untouched", got.Table, got.Untouched)
	}
}

func TestOnlyJudgedServersAreInThePool(t *testing.T) {
	for status, in := range map[healthcheck.Status]bool{healthcheck.Up: true, healthcheck.Down: false, healthcheck.Unknown: false, "": false} {
		health := map[string]healthcheck.Verdict{"tcp 192.0.2.11:80": {Status: status}}
		got := Compute(Inputs{Config: pairConfig("lvs1"), Roles: master(), Health: health})
		if present := len(got.Table[0].Dests) == 1; present != in {
			t.Errorf("a server that is %q is in the pool: %v, want %v", status, present, in)
		}
	}
}

func TestUncheckedServersAreInThePool(t *testing.T) {
	c := pairConfig("lvs1")
	c.Services[0].Checks = nil
	if got := Compute(Inputs{Config: c, Roles: master()}); len(got.Table[0].Dests) != 2 {
		t.Errorf("%d servers in the pool, want 2", len(got.Table[0].Dests))
	}
	if targets := NewProbes(c).targets; len(targets) != 0 {
		t.Errorf("targets %v, want none", targets)
	}
}

func TestNATMapsThePort(t *testing.T) {
	c := pairConfig("lvs1")
	c.Services[0].Forward = "nat"
	c.Services[0].Real = []config.Real{{Address: netip.MustParseAddr("192.0.2.11"), Port: 8080, Weight: 1}}
	got := Compute(Inputs{Config: c, Roles: master(), Health: up("tcp 192.0.2.11:8080")})
	want := ipvsctl.Dest{
		Key: ipvsctl.DestKey{Address: netip.MustParseAddr("192.0.2.11"), Port: 8080}, Forward: ipvsctl.NAT, Weight: 1,
	}
	if len(got.Table[0].Dests) != 1 || got.Table[0].Dests[0] != want {
		t.Errorf("pool %+v, want %+v", got.Table[0].Dests, want)
	}
}

func TestTargets(t *testing.T) {
	c := pairConfig("lvs1")
	c.Services[0].Listen = append(c.Services[0].Listen, netip.MustParseAddrPort("192.0.2.100:443"))
	c.Services[0].Checks[0].Port = 8000 // one check serves both listeners
	c.Services[0].Checks[0].Options = healthcheck.Encode(healthcheck.TCP{Expect: healthcheck.Hex("x")})
	got := NewProbes(c).targets
	want := []healthcheck.Target{
		{ID: "tcp 192.0.2.11:8000", Type: "tcp", Options: `{"expect_hex":"78"}`, Address: netip.MustParseAddrPort("192.0.2.11:8000"),
			Every: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3},
		{ID: "tcp 192.0.2.12:8000", Type: "tcp", Options: `{"expect_hex":"78"}`, Address: netip.MustParseAddrPort("192.0.2.12:8000"),
			Every: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("targets %+v, want %+v", got, want)
	}
}

func TestRoutersAreThoseThatListTheNode(t *testing.T) {
	if got := Routers(pairConfig("elsewhere")); len(got) != 0 {
		t.Errorf("routers of a node that no priority table lists: %v, want none", got)
	}
	got := Routers(pairConfig("lvs2"))
	want := []vrrp.RouterConfig{{
		Name: "edge", Interface: "eth0", VRID: 51, Priority: 100, Interval: time.Second, Preempt: true,
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.100")},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("routers %+v, want %+v", got, want)
	}
}

func TestRoutersSpeakAsConfigured(t *testing.T) {
	c := pairConfig("lvs1")
	v := &c.VRRP[0]
	v.Version, v.Authentication = 2, "s3cret"
	v.Peers, v.MinTTL = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, 254
	second := *v
	second.Name, second.Version, second.Checksum, second.Authentication = "other", 3, "rfc9568", ""
	second.Peers, second.MinTTL = nil, 0
	c.VRRP = append(c.VRRP, second)
	want := []vrrp.RouterConfig{{
		Name: "edge", Interface: "eth0", VRID: 51, Priority: 150, Interval: time.Second, Preempt: true,
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.100")}, Version: 2, Authentication: "s3cret",
		Peers: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, MinTTL: 254,
	}, {
		Name: "other", Interface: "eth0", VRID: 51, Priority: 150, Interval: time.Second, Preempt: true,
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.100")}, Version: 3, Checksum: vrrp.ChecksumRFC9568,
	}}
	got := Routers(c)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("routers %+v, want %+v", got, want)
	}
	for _, r := range got {
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestSysctls(t *testing.T) {
	redirects := []netif.Sysctl{
		{Path: "net/ipv4/conf/all/send_redirects", Value: "0"},
		{Path: "net/ipv4/conf/eth0/send_redirects", Value: "0"},
	}
	connections := []netif.Sysctl{
		{Path: "net/ipv4/vs/expire_nodest_conn", Value: "1"},
		{Path: "net/ipv4/vs/expire_quiescent_template", Value: "1"},
		{Path: "net/ipv4/vs/conn_reuse_mode", Value: "1"},
	}
	forwarding := netif.Sysctl{Path: "net/ipv4/conf/eth0/forwarding", Value: "1"}
	tunnels := netif.Sysctl{Path: "net/ipv4/vs/pmtu_disc", Value: "1"}
	dr, nat, tun, none, vmac := pairConfig("lvs1"), pairConfig("lvs1"), pairConfig("lvs1"), pairConfig("lvs1"), vmacConfig("lvs1")
	vmac.Services = nil
	below := []netif.Sysctl{{Path: "net/ipv4/conf/eth0/arp_ignore", Value: "1"}, {Path: "net/ipv4/conf/eth0/arp_announce", Value: "2"}}
	nat.Services[0].Forward, tun.Services[0].Forward = "nat", "tun"
	none.Services = nil
	for name, c := range map[string]struct {
		config *config.Config
		want   []netif.Sysctl
	}{
		"dr":          {dr, slices.Concat(redirects, connections)},
		"nat":         {nat, slices.Concat(redirects, connections, []netif.Sysctl{forwarding})},
		"tun":         {tun, slices.Concat(redirects, connections, []netif.Sysctl{tunnels})},
		"no services": {none, nil},
		"virtual MAC": {vmac, below},
	} {
		if got := Sysctls(c.config); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
