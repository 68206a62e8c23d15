package config

import (
	"net/netip"
	"slices"
	"testing"
)

// One [[vrrp]] is a virtual router for each family, and both move as one. Routers
// of what Routers returned are the same.
func TestRoutersOfEachFamily(t *testing.T) {
	c := load(t, "testdata/good/dual.toml", testHost())
	check := func(routers []VRRP) {
		t.Helper()
		type router struct {
			name, group, checksum string
			addresses, peers      int
		}
		want := []router{{"edge", "edge/", "rfc5798", 1, 2}, {"edge/ipv6", "edge/", "", 2, 2}, {"six/ipv6", "", "", 1, 0}}
		var got []router
		for _, v := range routers {
			got = append(got, router{v.Name, v.Group, v.Checksum, len(v.Addresses), len(v.Peers)})
		}
		if !slices.Equal(got, want) {
			t.Errorf("routers are %+v, want %+v", got, want)
		}
	}
	check(c.Routers())
	again := Config{VRRP: c.Routers()}
	check(again.Routers())
}

// A listener has the servers of its family; where there are none, a tunnel serves.
func TestServiceAtAListener(t *testing.T) {
	c := load(t, "testdata/good/dual.toml", testHost())
	web, dns, old := c.Services[0], c.Services[1], c.Services[2]
	for _, test := range []struct {
		service Service
		listen  string
		router  string
		real    string
		sorry   bool
	}{
		{web, "192.0.2.100:80", "edge", "192.0.2.11", false},
		{web, "[2001:db8::100]:80", "edge/ipv6", "[2001:db8::11]:8080 2001:db8::1", true},
		{dns, "[2001:db8::200]:53", "six/ipv6", "192.0.2.12", false},
		{old, "192.0.2.100:81", "edge", "2001:db8::11", false},
	} {
		listen := netip.MustParseAddrPort(test.listen)
		at := test.service.At(listen)
		real := ""
		for _, r := range at.Real {
			real += " " + r.String()
		}
		if real != " "+test.real || (at.Pool.Sorry != nil) != test.sorry || !slices.Equal(at.Listen, []netip.AddrPort{listen}) {
			t.Errorf("at %s: real servers%s, sorry server %v, listeners %v", listen, real, at.Pool.Sorry, at.Listen)
		}
		if got := test.service.Router(listen); got != test.router {
			t.Errorf("the router of %s is %q, want %q", listen, got, test.router)
		}
	}
}

func TestDefaultRouteOfIPv6(t *testing.T) {
	const table = `00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000100 00000001 00000000 00000003     eth0
20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000001 00000001 00000000 00000001     eth2
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
`
	if name, err := parseRoutes6(table); name != "eth0" || err != nil {
		t.Errorf("%q, %v; want eth0, of the lowest metric", name, err)
	}
	if name, err := parseRoutes6("garbage\n"); err == nil {
		t.Errorf("garbage gives %q", name)
	}
}

// What moves along goes with the router of its family, and where there is none,
// with the other one.
func TestExtrasGoWithTheirFamily(t *testing.T) {
	const also = `also = ["192.0.2.200/32", "2001:db8::f/128"]
routes = ["203.0.113.0/24 via 192.0.2.9", "2001:db8:9::/64 via 2001:db8::9"]
rules = ["from 2001:db8::100 lookup 100 priority 1000"]
`
	const service = "\n[[service]]\nname = \"web\"\nlisten = [\"192.0.2.200:80\", \"[2001:db8::f]:80\"]\nforward = \"tun\"\nreal = [{ address = \"192.0.2.11\" }]\n"
	block := func(addresses string) *Config {
		text := "[[vrrp]]\nname = \"edge\"\ninterface = \"eth0\"\nrouter_id = 51\naddresses = [" + addresses + "]\n" + also + service
		return load(t, write(t, "a.toml", text), testHost())
	}
	counts := func(v VRRP) [3]int { return [3]int{len(v.Also), len(v.Routes), len(v.Rules)} }
	listen6 := netip.MustParseAddrPort("[2001:db8::f]:80")

	both := block(`"192.0.2.100/24", "2001:db8::100/64"`)
	if r := both.Routers(); counts(r[0]) != [3]int{1, 1, 0} || counts(r[1]) != [3]int{1, 1, 1} {
		t.Errorf("the routers have %v and %v extras, routes and rules", counts(r[0]), counts(r[1]))
	}
	if got := both.Services[0].Router(listen6); got != "edge/ipv6" {
		t.Errorf("the listener's router is %q, want that of its family", got)
	}
	one := block(`"192.0.2.100/24"`)
	if r := one.Routers(); len(r) != 1 || counts(r[0]) != [3]int{2, 2, 1} {
		t.Errorf("routers %+v, want one with everything", r)
	}
	if got := one.Services[0].Router(listen6); got != "edge" {
		t.Errorf("the listener's router is %q, want the only one", got)
	}
}
