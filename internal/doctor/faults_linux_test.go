package doctor

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/netif"
)

func TestHealthyHostsHaveNoFindings(t *testing.T) {
	native(t)
	for _, tt := range []struct {
		name  string
		host  func(*testing.T, string) *ward
		modes []string
	}{
		{"real server", realServer, []string{"dr", "nat"}},
		{"director", director, []string{"dr", "nat", "tun", "gre", "gue"}},
		{"master", master, []string{"dr", "nat", "tun"}},
		{"backup of two boxes", twoBox, []string{"dr"}},
		{"master of two boxes", twoBoxMaster, []string{"dr"}},
		{"bystander", bystander, []string{"dr"}},
	} {
		for _, mode := range tt.modes {
			t.Run(tt.name+" by "+mode, func(t *testing.T) {
				t.Parallel()
				tt.host(t, mode).expect()
			})
		}
	}
}

func TestFaultsOfHostsAreFound(t *testing.T) {
	native(t)
	playAll(t, hostFaults)
}

var hostFaults = []fault{
	{
		"the VIP on lo with the network's mask", realServer, "dr",
		func(w *ward) { w.without("lo", "192.0.2.100/32"); w.address("lo", "192.0.2.100/24") },
		[]string{"vip-mask"}, "192.0.2.100/24 on lo has the mask of a network", "",
	},
	{
		"the VIP on a real server's interface", realServer, "dr",
		func(w *ward) { w.without("lo", "192.0.2.100/32"); w.address("eth0", "192.0.2.100/32") },
		[]string{"vip-on-segment"}, "192.0.2.100 is on eth0, which answers ARP for it", "",
	},
	{
		"no VIP on a real server", realServer, "dr",
		func(w *ward) { w.without("lo", "192.0.2.100/32") },
		[]string{"vip-missing"}, "192.0.2.100 is not on this host", "",
	},
	{
		"a VIP that a dead haldir left", director, "dr",
		func(w *ward) { w.status = nil; w.tagged("eth0", "192.0.2.100/24", netif.Protocol) },
		[]string{"vip-left-behind"}, "192.0.2.100 was left on eth0 by a haldir that runs no more", "",
	},
	{
		"a VIP that somebody else set", director, "dr",
		func(w *ward) { w.address("eth0", "192.0.2.100/24") },
		[]string{"vip-foreign"}, "192.0.2.100 is on eth0, and not by haldir", "",
	},
	{
		"a real server's address that another station has", realServer, "dr", (*ward).collide,
		[]string{"dad-failed"}, "another station had 2001:db8::11 when it was set on eth0", "with the flag dadfailed",
	},
	{
		"arp_ignore off", realServer, "dr",
		func(w *ward) { w.sysctl("net/ipv4/conf/all/arp_ignore", "0") },
		[]string{"arp-ignore"}, "arp_ignore is 0 on eth0, so it answers for 192.0.2.100 on lo", "",
	},
	{
		"arp_ignore for scope host alone", realServer, "dr",
		func(w *ward) { w.sysctl("net/ipv4/conf/eth0/arp_ignore", "3") },
		[]string{"arp-ignore"}, "arp_ignore is 3 on eth0, which hides addresses of scope host alone, and 192.0.2.100 is none", "",
	},
	{
		"arp_ignore for everything", realServer, "dr",
		func(w *ward) { w.sysctl("net/ipv4/conf/eth0/arp_ignore", "8") },
		[]string{"arp-ignore-deaf"}, "arp_ignore is 8 on eth0: no ARP request is answered at all", "",
	},
	{
		"arp_announce off", realServer, "dr",
		func(w *ward) { w.sysctl("net/ipv4/conf/all/arp_announce", "1") },
		[]string{"arp-announce"}, "arp_announce is 1 on eth0, which lets 192.0.2.100 into ARP requests", "",
	},
	{
		"two interfaces in one segment", director, "dr",
		func(w *ward) { w.cable("eth1", "192.0.2.3/24") },
		[]string{"arp-flux"}, "eth0 and eth1 are in one segment, and each answers for the other", "",
	},
	{
		"a director without ARP", director, "dr",
		func(w *ward) { w.link("eth0", netlink.LinkSetARPOff) },
		[]string{"director-silent"}, "eth0 does no ARP, and 192.0.2.100 is to be reached by it", "",
	},
	{
		"a director that answers no ARP", director, "dr",
		func(w *ward) { w.sysctl("net/ipv4/conf/all/arp_ignore", "8") },
		[]string{"director-silent"}, "arp_ignore is 8 on eth0, which keeps it from answering for 192.0.2.100/24", "",
	},
	{
		"NAT without forwarding", director, "nat",
		func(w *ward) { w.sysctl("net/ipv4/conf/eth0/forwarding", "0") },
		[]string{"forwarding-off"}, "packets that come in by eth0 are not forwarded, and NAT services need it", "",
	},
	{
		"NAT without forwarding of IPv6", director, "nat", set("net/ipv6/conf/all/forwarding", "0"),
		[]string{"forwarding-off"}, "packets of IPv6 are not forwarded, and NAT services need it", "net.ipv6.conf.all.forwarding = 0",
	},
	{
		"DR with forwarding of IPv6", director, "dr", set("net/ipv6/conf/all/forwarding", "1"),
		[]string{"forwarding-needless"}, "this director routes IPv6, and no service needs it", "net.ipv6.conf.all.forwarding = 1",
	},
	{
		"forwarding that makes a host deaf to routers", director, "nat",
		func(w *ward) { w.noRoute6(); w.sysctl("net/ipv6/conf/eth0/accept_ra", "1") },
		[]string{"ra-ignored"}, "eth0 takes no notice of Router Advertisements", "net.ipv6.conf.eth0.accept_ra = 1, net.ipv6.conf.all.forwarding = 1",
	},
	{
		"forwarding, and a router that was learned", director, "nat",
		func(w *ward) { w.sysctl("net/ipv6/conf/eth0/accept_ra", "1") }, nil, "", "",
	},
	{
		"a NAT real server that believes redirects of IPv6", realServer, "nat", set("net/ipv6/conf/eth0/accept_redirects", "1"),
		[]string{"accept-redirects"}, "this real server of NAT service web believes redirects on eth0", "net.ipv6.conf.eth0.accept_redirects = 1",
	},
	{
		"NAT replies over IPv6 past the director", realServer, "nat",
		func(w *ward) { w.route("2001:db8::1", "eth0") },
		[]string{"nat-bypass"}, "replies of NAT service web do not pass the director", "via 2001:db8::1 on eth0",
	},
	{
		"no way back over IPv6", realServer, "dr", (*ward).noRoute6,
		[]string{"no-way-back"}, "this real server of web has no default route of IPv6", "no default route of IPv6",
	},
	{
		"no VIP of IPv6 on a real server", realServer, "dr",
		func(w *ward) { w.without("lo", "2001:db8::100/128") },
		[]string{"vip-missing"}, "2001:db8::100 is not on this host", "no interface has 2001:db8::100",
	},
	{
		"a real server of IPv4 alone", realServer, "dr",
		func(w *ward) {
			w.without("lo", "2001:db8::100/128")
			w.without("eth0", "2001:db8::11/64")
			w.noRoute6()
		}, nil, "", "",
	},
	{
		"the VIP of IPv6 on a real server's interface", realServer, "dr",
		func(w *ward) { w.address("eth0", "2001:db8::100/128") },
		[]string{"vip-on-segment"}, "2001:db8::100 is on eth0, which answers ARP for it", "",
	},
	{
		"the VIP of IPv6 on lo with the network's mask", realServer, "dr",
		func(w *ward) { w.without("lo", "2001:db8::100/128"); w.address("lo", "2001:db8::100/64") },
		[]string{"vip-mask"}, "2001:db8::100/64 on lo has the mask of a network", "",
	},
	{
		"DR over IPv6 across a router", director, "dr",
		func(w *ward) {
			w.without("eth0", "2001:db8::2/64")
			w.address("eth0", "2001:db8:1::2/64")
			w.route("2001:db8:1::1", "eth0")
		},
		[]string{"dr-across-router"}, "real server 2001:db8::11 of web is behind a router, and the service forwards by dr", "via 2001:db8:1::1 on eth0",
	},
	{
		"DR with forwarding", director, "dr",
		func(w *ward) { w.sysctl("net/ipv4/ip_forward", "1") },
		[]string{"forwarding-needless"}, "this director routes, and no service needs it", "",
	},
	{
		"a director that sends redirects", director, "dr",
		func(w *ward) { w.sysctl("net/ipv4/conf/eth0/send_redirects", "1") },
		[]string{"send-redirects"}, "this director sends redirects on eth0", "",
	},
	{
		"a NAT real server that believes redirects", realServer, "nat",
		func(w *ward) { w.sysctl("net/ipv4/conf/all/accept_redirects", "1") },
		[]string{"accept-redirects"}, "this real server of NAT service web believes redirects on eth0", "",
	},
	{
		"a strict reverse path filter where replies leave by another interface", realServer, "dr",
		func(w *ward) {
			w.cable("eth1", "198.51.100.11/24")
			w.route("198.51.100.1", "eth1")
			w.sysctl("net/ipv4/conf/eth0/rp_filter", "1")
		},
		[]string{"rp-filter-path"}, "rp_filter is strict on eth0, and the default route leads out by eth1", "",
	},
	{
		"NAT replies past the director", realServer, "nat",
		func(w *ward) { w.route("192.0.2.1", "eth0") },
		[]string{"nat-bypass"}, "replies of NAT service web do not pass the director", "",
	},
	{
		"no way back", realServer, "dr",
		(*ward).noRoute,
		[]string{"no-way-back"}, "this real server of web has no default route of IPv4", "",
	},
	{
		"DR across a router", director, "dr",
		func(w *ward) {
			w.without("eth0", "192.0.2.2/24")
			w.address("eth0", "198.51.100.2/24")
			w.route("198.51.100.1", "eth0")
		},
		[]string{"dr-across-router"}, "real server 192.0.2.11 of web is behind a router, and the service forwards by dr", "",
	},
	{
		"no route to a real server", director, "dr",
		func(w *ward) { w.without("eth0", "192.0.2.2/24") },
		[]string{"real-unreachable"}, "there is no route to real server 192.0.2.11 of web", "",
	},
	{
		"systemd-networkd on the interface", director, "dr",
		func(w *ward) {
			w.file("run/systemd/netif/links/"+w.index("eth0"), "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/lan.network\n")
			w.file("etc/systemd/network/lan.network", "[Network]\nDHCP=no\n")
		},
		[]string{"networkd-drops"}, "systemd-networkd manages eth0, which gets virtual addresses", "",
	},
	{
		"systemd-networkd that keeps what others set", director, "dr",
		func(w *ward) {
			w.file("run/systemd/netif/links/"+w.index("eth0"), "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/lan.network\n")
			w.file("etc/systemd/network/lan.network", "[Network]\nKeepConfiguration=static\n")
		},
		nil, "", "",
	},
	{
		"NetworkManager on the interface", director, "dr",
		func(w *ward) {
			w.file("run/NetworkManager/devices/"+w.index("eth0"), "[device]\nmanaged=true\n")
		},
		[]string{"networkmanager-drops"}, "NetworkManager manages eth0, which gets virtual addresses", "",
	},
	{
		"TUN without a tunnel", realServer, "tun",
		func(w *ward) { w.mss(1440) },
		[]string{"tunnel-missing"}, "this real server of TUN service web has no tunnel", "",
	},
	{
		"TUN without a tunnel, and segments clamped", realServer, "tun",
		func(w *ward) {
			fits := []netif.Clamp{{Address: netip.MustParseAddr("192.0.2.100"), Port: 80, MSS: 1440}}
			w.do(func() error { return netif.SetClamps(w.t.Context(), fits) })
		},
		[]string{"tunnel-missing"}, "this real server of TUN service web has no tunnel", "",
	},
	{
		"segments too large for the tunnel", realServer, "tun",
		func(*ward) {},
		[]string{"tunnel-missing", "tunnel-mtu"}, "this real server of TUN service web has no tunnel", "",
	},
	{
		"a server that listens on its own address alone", realServer, "dr",
		func(w *ward) { w.deaf(); w.listen("192.0.2.11:80"); w.listen("[2001:db8::100]:80") },
		[]string{"no-listener"}, "nothing listens on tcp 192.0.2.100:80 for service web", "listen only 192.0.2.11",
	},
	{
		"a server of IPv4 alone", realServer, "dr",
		func(w *ward) { w.deaf(); w.listen("0.0.0.0:80") },
		[]string{"no-listener"}, "nothing listens on tcp [2001:db8::100]:80 for service web", "listen only 0.0.0.0",
	},
	{
		"keepalived beside haldir", director, "dr", func(w *ward) { w.runAs("keepalived") },
		[]string{"other-director"}, "keepalived runs on this director too", "in this network namespace run keepalived",
	},
	{"keepalived on a host of no part", bystander, "dr", func(w *ward) { w.runAs("keepalived") }, nil, "", ""},
	{
		"TUN of both families without tunnels", realServer, "tun6", func(w *ward) { w.mss(1440) },
		[]string{"tunnel-missing", "tunnel-missing", "tunnel-mtu"}, "this real server of TUN service web has no tunnel", "no interface of type ipip is up",
	},
	{
		"no socket for GUE", realServer, "gue", func(w *ward) { w.mss(1400) },
		[]string{"tunnel-missing", "tunnel-missing"}, "this real server of TUN service web has no tunnel", "no interface of type ipip is up",
	},
	{
		"segments too large for GRE", realServer, "gre", func(w *ward) { w.mss(1437) },
		[]string{"tunnel-missing", "tunnel-mtu"}, "this real server of TUN service web has no tunnel", "no interface of type gre is up",
	},
	{
		"segments that fit into GRE", realServer, "gre", func(w *ward) { w.mss(1436) },
		[]string{"tunnel-missing"}, "this real server of TUN service web has no tunnel", "",
	},
}
