package realserver

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/internal/netif"
)

var serverIP = netip.MustParseAddr("192.0.2.11")

// applied is a host that was set up for every mode, and its state.
func applied(t *testing.T) (bench, State) {
	t.Helper()
	b := newBench(t)
	b.routes = []netif.Route{{Gateway: netip.MustParseAddr("192.0.2.100"), Interface: "eth0"}}
	state := desired(t, plainModes()...)
	if err := b.Apply(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	return b, state
}

func TestVerifyReadsEveryItemBack(t *testing.T) {
	b, state := applied(t)
	got, err := b.Verify(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	const conf = "sysctl net/ipv4/conf/"
	hiding := []string{"dr", "tun"}
	want := []Finding{
		{Item: conf + "all/accept_redirects", Want: "0", Got: "0", OK: true, Services: []string{"nat"}},
		{Item: conf + "all/arp_announce", Want: "2", Got: "2", OK: true, Services: hiding},
		{Item: conf + "all/arp_ignore", Want: "1 or 2", Got: "1", OK: true, Services: hiding},
		{Item: conf + "eth0/accept_redirects", Want: "0", Got: "0", OK: true, Services: []string{"nat"}},
		{Item: conf + "eth0/arp_announce", Want: "2", Got: "2", OK: true, Services: hiding},
		{Item: conf + "eth0/arp_ignore", Want: "1 or 2", Got: "1", OK: true, Services: hiding},
		{Item: conf + "tunl0/rp_filter", Want: "2", Got: "2", OK: true, Services: []string{"tun"}},
		{Item: "ARP silence about 192.0.2.100", Want: "in force", Got: "in force", OK: true, Services: []string{"dr"}},
		{Item: "ARP silence about 192.0.2.101", Want: "in force", Got: "in force", OK: true, Services: []string{"tun"}},
		{Item: "redirect tcp 192.0.2.102:80 to port 8080", Want: "in force", Got: "in force", OK: true, Services: []string{"redirect"}},
		{Item: "clamp of TCP segments for 192.0.2.101:80 to 1440", Want: "in force", Got: "in force", OK: true, Services: []string{"tun"}},
		{Item: "interface lo", Want: "up", Got: "up", OK: true, Services: []string{"dr"}},
		{Item: "interface tunl0", Want: "up", Got: "up", OK: true, Services: []string{"tun"}},
		{Item: "MTU of interface tunl0", Want: "1480", Got: "1480", OK: true, Services: []string{"tun"}},
		{Item: "address 192.0.2.100/32 on lo", Want: byUs, Got: byUs, OK: true, Services: []string{"dr"}},
		{Item: "address 192.0.2.101/32 on tunl0", Want: byUs, Got: byUs, OK: true, Services: []string{"tun"}},
		{Item: "holders of 192.0.2.11 on eth0", Want: "this host alone", Got: "this host alone", OK: true},
		{Item: "way of replies from 192.0.2.11 to clients", Want: "via 10.0.0.1 or 192.0.2.100 or 192.0.2.101",
			Got: "via 192.0.2.100 on eth0", OK: true, Services: []string{"nat"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
}

func TestVerifyFindsEachFaultAndNamesTheRemedy(t *testing.T) {
	const repair = "haldir realserver apply"
	route := func(gateway, ifname string, metric int) netif.Route {
		r := netif.Route{Interface: ifname, Metric: metric}
		if gateway != "" {
			r.Gateway = netip.MustParseAddr(gateway)
		}
		return r
	}
	const replies = "way of replies from 192.0.2.11 to clients"
	const via = "via 10.0.0.1 or 192.0.2.100 or 192.0.2.101"
	const redirect = "replies must pass the director: in the system's network configuration, set the default route to the " +
		"director's address in this host's network"
	tests := []struct {
		name  string
		spoil func(b bench)
		want  Finding
	}{
		{"a sysctl", func(b bench) { b.sysctls["net/ipv4/conf/all/arp_ignore"] = "3" },
			Finding{Item: "sysctl net/ipv4/conf/all/arp_ignore", Want: "1 or 2", Got: "3", Remedy: repair, Services: []string{"dr", "tun"}}},
		{"a sysctl that is gone", func(b bench) { delete(b.sysctls, "net/ipv4/conf/tunl0/rp_filter") },
			Finding{Item: "sysctl net/ipv4/conf/tunl0/rp_filter", Want: "2", Got: "absent", Remedy: repair, Services: []string{"tun"}}},
		{"an interface that is down", func(b bench) { b.links["lo"] = netif.Tunnel{Name: "lo", Exists: true} },
			Finding{Item: "interface lo", Want: "up", Got: "down", Remedy: "ip link set lo up", Services: []string{"dr"}}},
		{"an interface that is gone", func(b bench) { b.links["tunl0"] = netif.Tunnel{Name: "tunl0"} },
			Finding{Item: "interface tunl0", Want: "up", Got: "absent", Remedy: repair, Services: []string{"tun"}}},
		{"an address that is gone", func(b bench) { b.addresses = b.addresses[:2] },
			Finding{Item: "address 192.0.2.100/32 on lo", Want: byUs, Got: "absent", Remedy: repair, Services: []string{"dr"}}},
		{"an address that is somebody else's", func(b bench) { b.addresses[2].Ours = false },
			Finding{Item: "address 192.0.2.100/32 on lo", Want: byUs, Got: byOthers, Services: []string{"dr"},
				Remedy: "find out who set it, then: ip address del 192.0.2.100/32 dev lo and haldir realserver apply"}},
		{"a VIP that is not wanted", func(b bench) { b.addresses = append(b.addresses, present("lo", "192.0.2.150/32", netif.Protocol)) },
			Finding{Item: "address 192.0.2.150/32 on lo", Want: "absent", Got: byUs, Remedy: repair}},
		{"a VIP on the interface", func(b bench) { b.addresses = append(b.addresses, present("eth0", "192.0.2.100/24", 0)) },
			Finding{Item: "address 192.0.2.100/24 on eth0", Want: "absent", Got: byOthers,
				Remedy: "the host answers for the VIP in its director's place; find out who set it, then: ip address del 192.0.2.100/24 dev eth0"}},
		{"a VIP of a director that this host is not", func(b bench) { b.addresses = append(b.addresses, present("eth0", "192.0.2.100/24", netif.Protocol)) },
			Finding{Item: "address 192.0.2.100/24 on eth0", Want: "absent", Got: byUs,
				Remedy: "a director has left it behind, and the host answers for it: haldir cleanup"}},
		{"a redirect that is gone", func(b bench) { b.redirects = nil },
			Finding{Item: "redirect tcp 192.0.2.102:80 to port 8080", Want: "in force", Got: "absent", Remedy: repair, Services: []string{"redirect"}}},
		{"a redirect that is not wanted", func(b bench) {
			b.redirects = append(b.redirects, netif.Redirect{Protocol: "udp", Address: netip.MustParseAddr("192.0.2.102"), Port: 1, To: 2})
		}, Finding{Item: "redirect udp 192.0.2.102:1 to port 2", Want: "absent", Got: "in force", Remedy: repair}},
		{"a silence that is gone", func(b bench) { b.silences = b.silences[1:] },
			Finding{Item: "ARP silence about 192.0.2.100", Want: "in force", Got: "absent", Remedy: repair, Services: []string{"dr"}}},
		{"a clamp that is gone", func(b bench) { b.clamps = nil },
			Finding{Item: "clamp of TCP segments for 192.0.2.101:80 to 1440", Want: "in force", Got: "absent", Remedy: repair, Services: []string{"tun"}}},
		{"another machine with the same address", func(b bench) {
			b.claimants = map[netip.Addr][]string{serverIP: {"02:00:00:00:00:07"}}
		}, Finding{Item: "holders of 192.0.2.11 on eth0", Want: "this host alone", Got: "this host and 02:00:00:00:00:07",
			Remedy: "find the machine with that MAC and give it another address: the director sends to whichever of the two it hears first"}},
		{"something else beside the redirects", func(b bench) { b.strange = 2 },
			Finding{Item: "nftables table inet haldir_realserver", Want: "redirects alone", Got: "2 other things in it", Remedy: repair}},
		{"no default route", func(b bench) { b.routes = nil },
			Finding{Item: replies, Want: via, Got: "none", Remedy: redirect, Services: []string{"nat"}}},
		{"a default route past the director", func(b bench) {
			b.routes = []netif.Route{route("192.0.2.1", "eth0", 0), route("192.0.2.100", "eth0", 100)}
		}, Finding{Item: replies, Want: via, Got: "via 192.0.2.1 on eth0", Remedy: redirect, Services: []string{"nat"}}},
		{"one of two next hops past the director", func(b bench) {
			b.routes = []netif.Route{route("192.0.2.100", "eth0", 0), route("192.0.2.1", "eth1", 0)}
		}, Finding{Item: replies, Want: via, Got: "via 192.0.2.100 on eth0 and via 192.0.2.1 on eth1", Remedy: redirect, Services: []string{"nat"}}},
		{"a default route without a next hop", func(b bench) { b.routes = []netif.Route{route("", "ppp0", 0)} },
			Finding{Item: replies, Want: via, Got: "on link ppp0", Remedy: redirect, Services: []string{"nat"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, state := applied(t)
			tt.spoil(b)
			findings, err := b.Verify(t.Context(), state)
			if err != nil {
				t.Fatal(err)
			}
			var bad []Finding
			for _, f := range findings {
				if !f.OK {
					bad = append(bad, f)
				}
			}
			if len(bad) > 1 && strings.Contains(tt.name, "is gone") {
				bad = bad[:1] // the others of its kind went along
			}
			if d := cmp.Diff([]Finding{tt.want}, bad); d != "" {
				t.Errorf("faults (-want +got):\n%s", d)
			}
		})
	}
}

// Not every interface can be asked by ARP, which is no fault of the address.
func TestVerifySaysWhereNobodyCanBeAsked(t *testing.T) {
	b, state := applied(t)
	b.claimError = errors.New("no ARP here")
	findings, err := b.Verify(t.Context(), state)
	want := Finding{Item: "holders of 192.0.2.11 on eth0", Want: "this host alone", Got: "unknown: no ARP here", OK: true}
	if err != nil || !slices.ContainsFunc(findings, func(f Finding) bool { return cmp.Equal(f, want) }) {
		t.Errorf("findings %+v (%v), want among them %+v", findings, err, want)
	}
}

func TestVerifyIgnoresTheOtherFamilysWay(t *testing.T) {
	b, state := applied(t)
	b.routes = append([]netif.Route{{Gateway: netip.MustParseAddr("2001:db8::1"), Interface: "eth0"}}, b.routes...)
	findings, err := b.Verify(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	if last := findings[len(findings)-1]; !last.OK || last.Got != "via 192.0.2.100 on eth0" {
		t.Errorf("the reply's finding = %+v, want OK by the IPv4 route", last)
	}
}

// unreadable cannot list addresses.
type unreadable struct{ *fake }

var errUnreadable = errors.New("netlink is not there")

func (unreadable) ReadAddresses(context.Context) ([]netif.PresentAddress, error) {
	return nil, errUnreadable
}

func TestVerifySaysWhatItCannotRead(t *testing.T) {
	b, state := applied(t)
	b.Kernel = unreadable{b.fake}
	findings, err := b.Verify(t.Context(), state)
	if !errors.Is(err, errUnreadable) || findings != nil {
		t.Errorf("findings %v, error %v; want none, %v", findings, err, errUnreadable)
	}
}

func TestVerifyAcceptsTheVIPOfADirectorThatThisHostIs(t *testing.T) {
	b, state := applied(t)
	state.Directs = true
	b.addresses = append(b.addresses, present("eth0", "192.0.2.100/24", netif.Protocol))
	findings, err := b.Verify(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	want := Finding{Item: "address 192.0.2.100/24 on eth0", Want: "absent, or present, held by the director of this host",
		Got: "present, held by the director of this host", OK: true}
	if !slices.ContainsFunc(findings, func(f Finding) bool { return cmp.Equal(f, want) }) {
		t.Errorf("findings %+v, want among them %+v", findings, want)
	}
}

func TestVerifyReadsTunnelsBack(t *testing.T) {
	b := newBench(t)
	state := desired(t, tunnelled("web", "192.0.2.100:80", "gue", 6080), tunnelled("dns", "192.0.2.101:53", "gre", 0),
		over6(tunnelled("six", "[2001:db8::100]:80", "gue", 6080)))
	if err := b.Apply(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	b.ports = b.ports[1:]
	gre, six := b.links["gre0"], b.links["ip6tnl0"]
	gre.Up, six.MTU, six.Inside = false, 1280, 4
	b.links["gre0"], b.links["ip6tnl0"] = gre, six
	got, err := b.Verify(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	got = slices.DeleteFunc(got, func(f Finding) bool { return f.OK })
	const repair = "haldir realserver apply"
	want := []Finding{
		{Item: "GUE at UDP 0.0.0.0:6080", Want: "received", Got: "not received", Remedy: repair, Services: []string{"web"}},
		{Item: "interface gre0", Want: "up", Got: "down", Remedy: "ip link set gre0 up", Services: []string{"dns"}},
		{Item: "MTU of interface ip6tnl0", Want: "1448", Got: "1280", Remedy: repair, Services: []string{"six"}},
		{Item: "contents of interface ip6tnl0", Want: "IPv4 and IPv6", Got: "IPv4", Remedy: repair, Services: []string{"six"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("faults (-want +got):\n%s", d)
	}
}
