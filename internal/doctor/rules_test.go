package doctor

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
)

var (
	vip  = netip.MustParseAddr("192.0.2.100")
	real = netip.MustParseAddr("192.0.2.11")
)

// cluster has one service, web, that forwards by mode.
func cluster(mode string) *config.Config {
	return &config.Config{
		Node: "here",
		VRRP: []config.VRRP{{
			Name: "edge", Interface: "eth0", RouterID: 51, Priority: 100, Priorities: config.Priorities{ByNode: map[string]uint8{"here": 100}},
			Interval: time.Second, Addresses: []netip.Prefix{netip.PrefixFrom(vip, 24)},
		}},
		Services: []config.Service{{
			Name: "web", VRRP: "edge", Protocol: "tcp", Scheduler: "mh", Forward: mode,
			Listen: []netip.AddrPort{netip.AddrPortFrom(vip, 80)}, Real: []config.Real{{Address: real}},
		}},
	}
}

// table is what IPVS holds: web with one real server.
func table(mode ipvsctl.Forward, port uint16) ipvsctl.LiveTable {
	return ipvsctl.LiveTable{{
		Service: ipvsctl.Service{Key: ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: vip, Port: 80}},
		Dests:   []ipvsctl.LiveDest{{Dest: ipvsctl.Dest{Key: ipvsctl.DestKey{Address: real, Port: port}, Forward: mode}}},
	}}
}

// directorFacts is a director that nothing is known of but its interface.
func directorFacts(change func(*facts.Host)) *facts.Host {
	h := &facts.Host{Links: []netif.Link{{Name: "eth0", Index: 2, Up: true, Carrier: true}}, Sysctls: map[string]string{}}
	change(h)
	return h
}

func ids(found []Finding) []string {
	var list []string
	for _, f := range found {
		list = append(list, f.ID)
	}
	return list
}

func TestRulesOfDirectors(t *testing.T) {
	tests := []struct {
		name string
		mode string
		host *facts.Host
		want []string
	}{
		{"nothing is known", "dr", directorFacts(func(*facts.Host) {}), nil},
		{"dr to another port", "dr", directorFacts(func(h *facts.Host) { h.Table = table(ipvsctl.DR, 8080) }), []string{"port-mismatch"}},
		{"tun to another port", "tun", directorFacts(func(h *facts.Host) { h.Table = table(ipvsctl.TUN, 8080) }), []string{"port-mismatch"}},
		{"nat to another port", "nat", directorFacts(func(h *facts.Host) { h.Table = table(ipvsctl.NAT, 8080) }), nil},
		{"dr to the same port", "dr", directorFacts(func(h *facts.Host) { h.Table = table(ipvsctl.DR, 80) }), nil},
		{"no ip_vs", "dr", directorFacts(func(h *facts.Host) {
			h.Modules = map[string]netif.ModuleState{"ip_vs": netif.ModuleAbsent, "ip_vs_mh": netif.ModuleAbsent}
		}), []string{"module-missing", "scheduler-missing"}},
		{"no scheduler", "dr", directorFacts(func(h *facts.Host) {
			h.HasIPVS = true
			h.Modules = map[string]netif.ModuleState{"ip_vs": netif.ModuleAbsent, "ip_vs_mh": netif.ModuleAbsent}
		}), []string{"scheduler-missing"}},
		{"modules on disk", "dr", directorFacts(func(h *facts.Host) {
			h.Modules = map[string]netif.ModuleState{"ip_vs": netif.ModuleAvailable, "ip_vs_mh": netif.ModuleBuiltIn}
		}), nil},
		{"IPVS that keeps what is gone", "dr", directorFacts(func(h *facts.Host) {
			h.Table = table(ipvsctl.DR, 80)
			h.Table[0].Persistence = time.Minute
			for _, key := range []string{"expire_nodest_conn", "expire_quiescent_template", "conn_reuse_mode"} {
				h.Sysctls["net/ipv4/vs/"+key] = "0"
			}
		}), []string{"expire-nodest", "conn-reuse", "expire-quiescent"}},
		{"IPVS that lets go", "dr", directorFacts(func(h *facts.Host) {
			h.Table = table(ipvsctl.DR, 80)
			h.Table[0].Persistence = time.Minute
			for _, key := range []string{"expire_nodest_conn", "expire_quiescent_template", "conn_reuse_mode"} {
				h.Sysctls["net/ipv4/vs/"+key] = "1"
			}
		}), nil},
		{"a full table of tracked connections", "dr", directorFacts(func(h *facts.Host) {
			h.Sysctls["net/netfilter/nf_conntrack_count"], h.Sysctls["net/netfilter/nf_conntrack_max"] = "800", "1000"
		}), []string{"conntrack-full"}},
		{"a table of tracked connections that has room", "dr", directorFacts(func(h *facts.Host) {
			h.Sysctls["net/netfilter/nf_conntrack_count"], h.Sysctls["net/netfilter/nf_conntrack_max"] = "799", "1000"
		}), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ids(Examine(Input{Host: tt.host, Config: cluster(tt.mode), Status: &control.Status{}}))
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("kinds of findings (-want +got):\n%s", d)
			}
		})
	}
}

func TestATunnelWithAStrictReversePathFilterIsAFault(t *testing.T) {
	host := func(all, own string) *facts.Host {
		return &facts.Host{
			Links: []netif.Link{{Name: "eth0", Up: true, MTU: 1500}, {Name: "tunl0", Up: true, NoARP: true, Type: "ipip", MTU: 1480}},
			Addresses: []facts.Address{
				{PresentAddress: netif.PresentAddress{Address: netif.Address{Interface: "eth0", Prefix: netip.PrefixFrom(real, 24)}}, Scope: "global"},
				{PresentAddress: netif.PresentAddress{Address: netif.Address{Interface: "tunl0", Prefix: netip.PrefixFrom(vip, 32)}}, Scope: "host"},
			},
			Routes:  []netif.Route{{Gateway: netip.MustParseAddr("192.0.2.1"), Interface: "eth0", MSS: 1440}},
			Sysctls: map[string]string{"net/ipv4/conf/all/rp_filter": all, "net/ipv4/conf/tunl0/rp_filter": own},
		}
	}
	cfg := cluster("tun")
	cfg.VRRP[0].Priority = 0
	for _, tt := range []struct {
		all, own string
		want     []string
	}{{"0", "0", nil}, {"1", "0", []string{"rp-filter-tunnel"}}, {"0", "1", []string{"rp-filter-tunnel"}}, {"1", "2", nil}} {
		if d := cmp.Diff(tt.want, ids(Examine(Input{Host: host(tt.all, tt.own), Config: cfg}))); d != "" {
			t.Errorf("all = %s, tunl0 = %s (-want +got):\n%s", tt.all, tt.own, d)
		}
	}
}

func TestTheWorstComesFirst(t *testing.T) {
	host := directorFacts(func(h *facts.Host) {
		h.Table = table(ipvsctl.DR, 8080)
		h.Sysctls["net/ipv4/ip_forward"] = "1"            // a note
		h.Sysctls["net/ipv4/vs/expire_nodest_conn"] = "0" // a warning
	})
	got := ids(Examine(Input{Host: host, Config: cluster("dr"), Status: &control.Status{}}))
	if d := cmp.Diff([]string{"port-mismatch", "expire-nodest", "forwarding-needless"}, got); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
}

func TestExamineOfNothingFindsNothing(t *testing.T) {
	if got := Examine(Input{}); len(got) > 0 {
		t.Errorf("findings = %v, want none", got)
	}
}
