package main

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/doctor"
	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
)

const sickCluster = `
[[vrrp]]
name      = "edge"
interface = "eth0"
router_id = 51
priority  = { d1 = 150, d2 = 100 }
addresses = ["192.0.2.100/24", "2001:db8::100/64"]

[[service]]
name    = "web"
listen  = ["192.0.2.100:80", "[2001:db8::100]:80"]
forward = "dr"
[[service.real]]
address = "192.0.2.11"
[[service.real]]
address = "2001:db8::11"
`

func sick(t *testing.T, node string, host *facts.Host) doctor.Input {
	t.Helper()
	cfg, err := config.LoadTexts([]config.Text{{Name: "haldir.toml", Text: sickCluster}}, config.Options{Node: node})
	if err != nil {
		t.Fatal(err)
	}
	host.Kernel = "6.1.0"
	host.Links = append(host.Links,
		netif.Link{Name: "lo", Index: 1, Up: true, Carrier: true, Loopback: true},
		netif.Link{Name: "eth0", Index: 2, Up: true, Carrier: true, MTU: 1500, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}})
	return doctor.Input{Config: cfg, Host: host}
}

func has(ifname, prefix string, proto uint8) facts.Address {
	return facts.Address{Scope: "global", PresentAddress: netif.PresentAddress{
		Address: netif.Address{Interface: ifname, Prefix: netip.MustParsePrefix(prefix)}, Proto: proto,
	}}
}

func sickDirector(t *testing.T) doctor.Input {
	vip, real, now := netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("192.0.2.11"), time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	in := sick(t, "d1", &facts.Host{
		Addresses: []facts.Address{has("eth0", "192.0.2.2/24", 0), has("eth0", "2001:db8::2/64", 0), has("eth0", "192.0.2.100/24", 0)},
		Routes:    []netif.Route{{Gateway: netip.MustParseAddr("192.0.2.1"), Interface: "eth0"}},
		Ways:      map[netip.Addr]netif.Route{real: {Gateway: netip.MustParseAddr("192.0.2.1"), Interface: "eth0"}},
		Sysctls: map[string]string{
			"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/send_redirects": "1", "net/ipv4/conf/eth0/send_redirects": "0",
			"net/ipv4/vs/expire_nodest_conn": "0", "net/netfilter/nf_conntrack_count": "900", "net/netfilter/nf_conntrack_max": "1000",
			"net/ipv6/conf/all/forwarding": "1", "net/ipv6/conf/eth0/accept_ra": "1",
		},
		HasIPVS: true, Modules: map[string]netif.ModuleState{"ip_vs": netif.ModuleLoaded, "ip_vs_wlc": netif.ModuleAbsent},
		Table: ipvsctl.LiveTable{{
			Service: ipvsctl.Service{Key: ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: vip, Port: 80}},
			Dests:   []ipvsctl.LiveDest{{Dest: ipvsctl.Dest{Key: ipvsctl.DestKey{Address: real, Port: 8080}, Forward: ipvsctl.DR}}},
		}},
		Managers: facts.Managers{Networkd: map[string]string{"eth0": "no"}, NetworkManager: []string{"eth0"}},
		Rivals:   []string{"keepalived"},
	})
	in.Status = &control.Status{At: now, Config: control.ConfigStatus{Path: "/etc/haldir/haldir.toml", Digest: "1111111111111111"},
		Routers: []control.RouterStatus{{Name: "edge", State: "master", Interface: "eth0", VRID: 51,
			Addresses: []control.AddressStatus{{Address: "192.0.2.100/24", Announced: now.Add(-30 * time.Second)}}}},
		Directors: []control.DirectorStatus{{Node: "d2", Interface: "eth0", Digest: "2222222222222222"}},
	}
	in.Segment = &facts.Segment{
		Owners: map[facts.Question][]arp.Answer{
			{Interface: "eth0", Address: vip}: {{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 9}}},
		},
		Adverts: []facts.Advert{{Interface: "eth0", Source: netip.MustParseAddr("192.0.2.9"), Version: 3, VRID: 51, Priority: 90,
			Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.200")}}},
		Listened: 2 * time.Second, Late: 1500 * time.Millisecond, Clock: &facts.Clock{},
	}
	return in
}

func sickRealServer(t *testing.T) doctor.Input {
	return sick(t, "rs1", &facts.Host{
		Addresses: []facts.Address{has("eth0", "192.0.2.11/24", 0), has("eth0", "2001:db8::11/64", 0), has("lo", "192.0.2.100/24", 0)},
		Routes:    []netif.Route{{Gateway: netip.MustParseAddr("192.0.2.1"), Interface: "eth0"}},
		Sysctls: map[string]string{
			"net/ipv4/conf/all/arp_ignore": "0", "net/ipv4/conf/eth0/arp_ignore": "0",
			"net/ipv4/conf/all/arp_announce": "0", "net/ipv4/conf/eth0/arp_announce": "1",
		},
		Listeners: []facts.Listener{{Protocol: "tcp", At: netip.MustParseAddrPort("192.0.2.11:80")}},
		Unknown:   []facts.Unknown{{What: "the firewall", Reason: "operation not permitted"}},
	})
}

// The golden files show what operators and programs get.
func TestWhatTheDoctorSays(t *testing.T) {
	for name, input := range map[string]func(*testing.T) doctor.Input{"director": sickDirector, "realserver": sickRealServer} {
		in := input(t)
		e := examination{Node: in.Config.Node, Roles: doctor.Roles(in), Findings: doctor.Examine(in), Unknown: append([]facts.Unknown{}, in.Host.Unknown...)}
		golden(t, "doctor-"+name+".txt", []byte(renderExamination(e, palette(false))))
		var text bytes.Buffer
		if err := printJSON(&text, e); err != nil {
			t.Fatal(err)
		}
		golden(t, "doctor-"+name+".json", text.Bytes())
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}
