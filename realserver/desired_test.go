package realserver

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
)

// equateNetip compares addresses and prefixes as values.
var equateNetip = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{}, netif.Address{})}

func service(name, forward, listen string, reals ...string) config.Service {
	s := config.Service{Name: name, Forward: forward, Listen: []netip.AddrPort{netip.MustParseAddrPort(listen)}}
	for _, r := range reals {
		s.Real = append(s.Real, config.Real{Address: netip.MustParseAddr(r)})
	}
	return s
}

func cluster(services ...config.Service) *config.Config {
	return &config.Config{
		VRRP: []config.VRRP{
			{Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24"), netip.MustParsePrefix("192.0.2.101/24")}},
			{Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}},
		},
		Services: services,
	}
}

func host(pairs ...string) Host {
	var h Host
	for i := 0; i < len(pairs); i += 2 {
		h.Addresses = append(h.Addresses, HostAddress{Interface: pairs[i], Address: netip.MustParseAddr(pairs[i+1])})
	}
	return h
}

func TestDesired(t *testing.T) {
	const conf = "net/ipv4/conf/"
	sysctl := func(path, value, also string, services ...string) Sysctl {
		return Sysctl{netif.Sysctl{Path: conf + path, Value: value}, also, services}
	}
	hidden := func(ifname string, services ...string) []Sysctl {
		return []Sysctl{
			sysctl("all/arp_announce", "2", "", services...),
			sysctl("all/arp_ignore", "1", "2", services...),
			sysctl(ifname+"/arp_announce", "2", "", services...),
			sysctl(ifname+"/arp_ignore", "1", "2", services...),
		}
	}
	address := func(ifname, vip string, services ...string) Address {
		return Address{netif.Address{Interface: ifname, Prefix: netip.MustParsePrefix(vip)}, services}
	}
	tests := []struct {
		name     string
		services []config.Service
		host     Host
		want     State
	}{
		{
			"dr", []config.Service{service("web", "dr", "192.0.2.100:80", "192.0.2.11", "192.0.2.12")},
			host("lo", "127.0.0.1", "eth0", "192.0.2.11"),
			State{Sysctls: hidden("eth0", "web"), Addresses: []Address{address("lo", "192.0.2.100/32", "web")}},
		},
		{
			"two services at one address share its items",
			[]config.Service{
				service("web", "dr", "192.0.2.100:80", "192.0.2.11"),
				service("tls", "dr", "192.0.2.100:443", "192.0.2.11"),
				service("dns", "dr", "192.0.2.101:53", "192.0.2.12"), // not of this host
			},
			host("eth0", "192.0.2.11"),
			State{Sysctls: hidden("eth0", "tls", "web"), Addresses: []Address{address("lo", "192.0.2.100/32", "tls", "web")}},
		},
		{
			"tun hides the address too", []config.Service{service("web", "tun", "192.0.2.100:80", "198.51.100.11")},
			host("eth0.100", "198.51.100.11"),
			State{
				Sysctls:   append(hidden("eth0.100", "web"), sysctl("tunl0/rp_filter", "2", "", "web")),
				Tunnels:   []TunnelState{{"tunl0", 0, []string{"web"}}},
				Addresses: []Address{address("tunl0", "192.0.2.100/32", "web")},
			},
		},
		{
			"gue and gre have devices of their own",
			[]config.Service{tunnelled("web", "192.0.2.100:80", "gue", 6080), tunnelled("dns", "192.0.2.101:53", "gre", 0)},
			host("eth0", "192.0.2.11"),
			State{
				Sysctls: append(hidden("eth0", "dns", "web"),
					sysctl("gre0/rp_filter", "2", "", "dns"), sysctl("tunl0/rp_filter", "2", "", "web")),
				Tunnels:   []TunnelState{{"gre0", 0, []string{"dns"}}, {"tunl0", 0, []string{"web"}}},
				Ports:     []Port{{netip.MustParseAddrPort("0.0.0.0:6080"), []string{"web"}}},
				Addresses: []Address{address("gre0", "192.0.2.101/32", "dns"), address("tunl0", "192.0.2.100/32", "web")},
			},
		},
		{
			"nat needs no address", []config.Service{service("web", "nat", "192.0.2.100:80", "10.0.0.11")},
			host("eth1", "10.0.0.11"),
			State{
				Sysctls: []Sysctl{sysctl("all/accept_redirects", "0", "", "web"), sysctl("eth1/accept_redirects", "0", "", "web")},
				Replies: []Reply{{
					From:     netip.MustParseAddr("10.0.0.11"),
					Via:      []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("192.0.2.101")},
					Services: []string{"web"},
				}},
			},
		},
		{
			"redirect needs neither address nor silence",
			[]config.Service{redirected("web", "192.0.2.100:80", "192.0.2.11", 8080), redirected("tls", "192.0.2.100:443", "192.0.2.11", 0)},
			host("eth0", "192.0.2.11"),
			State{Redirects: []Redirect{
				{netif.Redirect{Protocol: "tcp", Address: netip.MustParseAddr("192.0.2.100"), Port: 80, To: 8080}, []string{"web"}},
				{netif.Redirect{Protocol: "tcp", Address: netip.MustParseAddr("192.0.2.100"), Port: 443, To: 443}, []string{"tls"}},
			}},
		},
		{
			"every mode at once, by two interfaces",
			[]config.Service{
				service("dr", "dr", "192.0.2.100:80", "192.0.2.11"),
				service("tun", "tun", "192.0.2.100:81", "10.0.0.11"),
				service("nat", "nat", "192.0.2.101:80", "10.0.0.11"),
			},
			host("eth0", "192.0.2.11", "eth1", "10.0.0.11"),
			State{
				Sysctls: []Sysctl{
					sysctl("all/accept_redirects", "0", "", "nat"),
					sysctl("all/arp_announce", "2", "", "dr", "tun"),
					sysctl("all/arp_ignore", "1", "2", "dr", "tun"),
					sysctl("eth0/arp_announce", "2", "", "dr"),
					sysctl("eth0/arp_ignore", "1", "2", "dr"),
					sysctl("eth1/accept_redirects", "0", "", "nat"),
					sysctl("eth1/arp_announce", "2", "", "tun"),
					sysctl("eth1/arp_ignore", "1", "2", "tun"),
					sysctl("tunl0/rp_filter", "2", "", "tun"),
				},
				Tunnels:   []TunnelState{{"tunl0", 0, []string{"tun"}}},
				Addresses: []Address{address("lo", "192.0.2.100/32", "dr"), address("tunl0", "192.0.2.100/32", "tun")},
				Replies: []Reply{{
					From:     netip.MustParseAddr("10.0.0.11"),
					Via:      []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("192.0.2.101")},
					Services: []string{"nat"},
				}},
			},
		},
		{
			"an address on two interfaces hides on both", []config.Service{service("web", "dr", "192.0.2.100:80", "192.0.2.11")},
			host("eth0", "192.0.2.11", "eth1", "192.0.2.11"),
			State{
				Sysctls: append(hidden("eth0", "web"),
					sysctl("eth1/arp_announce", "2", "", "web"), sysctl("eth1/arp_ignore", "1", "2", "web")),
				Addresses: []Address{address("lo", "192.0.2.100/32", "web")},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Desired(cluster(tt.services...), tt.host)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got, equateNetip, cmpopts.IgnoreFields(State{}, "Own", "Endpoints", "Silences")); d != "" {
				t.Errorf("state (-want +got):\n%s", d)
			}
		})
	}
}

func TestDesiredNamesWhereConnectionsEnd(t *testing.T) {
	dr, nat, udp := service("dr", "dr", "192.0.2.100:80", "192.0.2.11"), service("nat", "nat", "192.0.2.101:80", "10.0.0.11"),
		service("udp", "dr", "192.0.2.100:53", "192.0.2.11")
	dr.Protocol, nat.Protocol, udp.Protocol = "tcp", "tcp", "udp"
	nat.Listen = append(nat.Listen, netip.MustParseAddrPort("192.0.2.101:81"))
	mapped := nat
	mapped.Real = []config.Real{{Address: netip.MustParseAddr("10.0.0.11"), Port: 8080}}
	got, err := Desired(cluster(dr, nat, udp, mapped), host("eth0", "192.0.2.11", "eth1", "10.0.0.11"))
	if err != nil {
		t.Fatal(err)
	}
	var want []netip.AddrPort
	for _, text := range []string{"10.0.0.11:80", "10.0.0.11:81", "10.0.0.11:8080", "192.0.2.100:80"} {
		want = append(want, netip.MustParseAddrPort(text))
	}
	if !slices.Equal(got.Endpoints, want) {
		t.Errorf("Endpoints = %v, want %v", got.Endpoints, want)
	}
	if want := host("eth0", "192.0.2.11", "eth1", "10.0.0.11").Addresses; !slices.Equal(got.Own, want) {
		t.Errorf("Own = %v, want %v", got.Own, want)
	}
	one := netif.Connection{Local: want[3], Remote: netip.MustParseAddrPort("198.51.100.7:4000")}
	other := netif.Connection{Local: netip.MustParseAddrPort("192.0.2.11:22"), Remote: one.Remote}
	if n := got.Connections([]netif.Connection{one, other, one}); n != 2 {
		t.Errorf("Connections = %d, want 2", n)
	}
}

func TestDesiredRefuses(t *testing.T) {
	web := service("web", "dr", "192.0.2.100:80", "192.0.2.11")
	tests := []struct {
		name    string
		service config.Service
		host    Host
		want    string
		is      error
	}{
		{"a host of no service", web, host("lo", "127.0.0.1", "eth0", "192.0.2.13", "eth1", "10.0.0.13", "eth0", "fe80::1"),
			"no service lists an address of this host (it has 192.0.2.13 on eth0, 10.0.0.13 on eth1)", ErrNoService},
		{"a host without a network", web, host("lo", "127.0.0.1"),
			"no service lists an address of this host (it has no address but loopback and link-local ones)", ErrNoService},
		{"a mode that it does not know", service("web", "gue", "192.0.2.100:80", "192.0.2.11"), host("eth0", "192.0.2.11"),
			`service "web": a real server cannot be set up for forwarding by "gue"`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Desired(cluster(tt.service), tt.host)
			if err == nil || err.Error() != tt.want || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error = %v, want %s", err, tt.want)
			}
			if d := cmp.Diff(State{}, got, equateNetip); d != "" {
				t.Errorf("state (-want +got):\n%s", d)
			}
		})
	}
}

// At the listeners of each family a host is what its address of that family is.
func TestFamiliesAreServedByTheirOwnAddress(t *testing.T) {
	s := service("web", "dr", "192.0.2.100:80", "192.0.2.11", "2001:db8::12")
	s.Listen = append(s.Listen, netip.MustParseAddrPort("[2001:db8::100]:80"))
	for _, test := range []struct{ own, holds string }{{"192.0.2.11", "192.0.2.100/32"}, {"2001:db8::12", "2001:db8::100/128"}} {
		state, err := Desired(cluster(s), host("eth0", test.own))
		if err != nil || len(state.Addresses) != 1 || state.Addresses[0].Prefix.String() != test.holds || state.Addresses[0].Interface != Loopback {
			t.Errorf("%s holds %v (%v), want %s on lo", test.own, state.Addresses, err, test.holds)
		}
		if hides := len(state.Sysctls) > 0; hides != (test.own == "192.0.2.11") {
			t.Errorf("%s: sysctls %v; IPv6 needs none", test.own, state.Sysctls)
		}
	}
}

func TestNATOverIPv6FollowsNoRedirect(t *testing.T) {
	c := cluster(service("web", "nat", "[2001:db8::100]:80", "2001:db8::12"))
	c.VRRP[0].Addresses = append(c.VRRP[0].Addresses, netip.MustParsePrefix("fe80::100/64"))
	state, err := Desired(c, host("eth0", "2001:db8::12"))
	if err != nil || len(state.Sysctls) != 1 || state.Sysctls[0].String() != "net/ipv6/conf/eth0/accept_redirects = 0" {
		t.Errorf("sysctls %v (%v), want accept_redirects of eth0", state.Sysctls, err)
	}
	if len(state.Replies) != 1 || len(state.Replies[0].Via) != 1 || state.Replies[0].Via[0] != netip.MustParseAddr("fe80::100") {
		t.Errorf("replies %v, want the way by the director's IPv6 address", state.Replies)
	}
}

// Each family in each family, in each wrapping, with what is left for a packet.
func TestTunnelsOfEachFamily(t *testing.T) {
	const vip4, vip6, own4, own6 = "192.0.2.100", "2001:db8::100", "192.0.2.11", "2001:db8::11"
	for _, tt := range []struct {
		kind, checksum, vip, own string
		device                   string
		mtu                      int
		port                     string
		mss                      uint16
	}{
		{"ipip", "none", vip4, own4, "tunl0", 1480, "", 1440},
		{"ipip", "none", vip6, own4, "sit0", 1480, "", 1420},
		{"ipip", "none", vip6, own6, "ip6tnl0", 1460, "", 1400},
		{"ipip", "none", vip4, own6, "ip6tnl0", 1460, "", 1420},
		{"gue", "none", vip4, own4, "tunl0", 1468, "0.0.0.0:6080", 1428},
		{"gue", "full", vip6, own4, "sit0", 1468, "0.0.0.0:6080", 1408},
		{"gue", "remote", vip6, own6, "ip6tnl0", 1440, "[::]:6080", 1380},
		{"gre", "none", vip6, own4, "gre0", 1476, "", 1416},
		{"gre", "full", vip4, own4, "gre0", 1472, "", 1432},
		{"gre", "none", vip6, own6, "ip6gre0", 1456, "", 1396},
		{"gre", "full", vip4, own6, "ip6gre0", 1452, "", 1412},
	} {
		s := service("web", "tun", netip.AddrPortFrom(netip.MustParseAddr(tt.vip), 80).String(), tt.own)
		s.Protocol, s.Attributes.Tunnel = "tcp", config.Tunnel{Type: tt.kind, Checksum: tt.checksum}
		if tt.port != "" {
			s.Attributes.Tunnel.Port = 6080
		}
		host := host("eth0", tt.own)
		host.MTU = map[string]int{"eth0": 1500}
		got, err := Desired(cluster(s), host)
		if err != nil {
			t.Fatal(err)
		}
		web := []string{"web"}
		want := State{
			Tunnels:   []TunnelState{{tt.device, tt.mtu, web}},
			Addresses: []Address{{netif.Address{Interface: tt.device, Prefix: netip.PrefixFrom(netip.MustParseAddr(tt.vip), netip.MustParseAddr(tt.vip).BitLen())}, web}},
			Clamps:    []Clamp{{netif.Clamp{Address: netip.MustParseAddr(tt.vip), Port: 80, MSS: tt.mss}, web}},
		}
		if tt.port != "" {
			want.Ports = []Port{{netip.MustParseAddrPort(tt.port), web}}
		}
		if d := cmp.Diff(want, got, equateNetip, cmpopts.IgnoreFields(State{}, "Own", "Endpoints", "Silences", "Sysctls")); d != "" {
			t.Errorf("%s of %s to %s (-want +got):\n%s", tt.kind, tt.vip, tt.own, d)
		}
		// ARP and the reverse path filter are of IPv4 alone.
		if n := map[bool]int{true: 5}[tt.vip == vip4]; len(got.Sysctls) != n {
			t.Errorf("%s of %s to %s: sysctls %v, want %d", tt.kind, tt.vip, tt.own, got.Sysctls, n)
		}
	}
}

// A device that takes out several wrappings has room for the largest.
func TestATunnelHasRoomForEveryWrapping(t *testing.T) {
	state := desired(t, tunnelled("a", "192.0.2.100:80", "gue", 6080), tunnelled("b", "192.0.2.101:80", "ipip", 0))
	if len(state.Tunnels) != 1 || state.Tunnels[0].MTU != 1468 {
		t.Errorf("tunnels %+v, want tunl0 with an MTU of 1468", state.Tunnels)
	}
	host := host("eth0", "192.0.2.11")
	host.MTU = map[string]int{"eth0": 1290}
	small, err := Desired(cluster(tunnelled("a", "[2001:db8::100]:80", "ipip", 0)), host)
	if err != nil || small.Tunnels[0].MTU != 1280 {
		t.Errorf("tunnels %+v (%v), want the MTU without which there is no IPv6", small.Tunnels, err)
	}
}

// ARP about a VIP is silenced as a second lock, but for a host that may be the
// master, and has to answer then.
func TestSilencesAreAboutTheVIPsThatTheHostHolds(t *testing.T) {
	services := []config.Service{
		service("dr", "dr", "192.0.2.100:80", "192.0.2.11"), service("also", "tun", "192.0.2.100:81", "192.0.2.11"),
		service("six", "dr", "[2001:db8::100]:80", "2001:db8::11"), service("nat", "nat", "192.0.2.101:80", "192.0.2.11"),
	}
	c := cluster(services...)
	host := host("eth0", "192.0.2.11", "eth0", "2001:db8::11")
	got, err := Desired(c, host)
	want := []Silence{{netif.Silence{Address: netip.MustParseAddr("192.0.2.100")}, []string{"also", "dr"}}}
	if d := cmp.Diff(want, got.Silences, cmpopts.EquateComparable(netif.Silence{})); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	c.VRRP[0].Priority = 100
	if got, err := Desired(c, host); err != nil || !got.Directs || len(got.Silences) != 0 {
		t.Errorf("a director has silences %v (%v), want none", got.Silences, err)
	}
}
