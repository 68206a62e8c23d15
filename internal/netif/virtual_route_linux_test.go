package netif

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// ip runs the ip command, which reads the kernel without our code.
func ip(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

func route(s string) VirtualRoute {
	r := VirtualRoute{Table: MainTable}
	words := strings.Fields(s)
	if words[0] == string(Blackhole) {
		r.Kind, words = Blackhole, words[1:]
	}
	r.Destination = netip.MustParsePrefix(words[0])
	for i := 1; i < len(words); i += 2 {
		switch words[i] {
		case "via":
			r.Gateway = netip.MustParseAddr(words[i+1])
		case "dev":
			r.Interface = words[i+1]
		case "src":
			r.Source = netip.MustParseAddr(words[i+1])
		case "table":
			r.Table = map[string]int{"100": 100}[words[i+1]]
		case "metric":
			r.Metric = len(words[i+1]) // as many as there are letters
		}
	}
	return r
}

func routing(t *testing.T, desired Routing) RoutingResult {
	t.Helper()
	result, err := ReconcileRouting(t.Context(), desired)
	must(t, err)
	return result
}

func TestRoutesAndRulesMoveAndNothingElse(t *testing.T) {
	link, _ := newVeth(t, "vr0", "vr1")
	addForeign(t, link, "192.0.2.1/24")
	addForeign(t, link, "2001:db8::1/64")
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet("198.51.100.0/24"), Gw: ipNet("192.0.2.9/32").IP}))
	// Without the link-local addresses that the kernel adds meanwhile.
	everything := func() string {
		return ip(t, "route") + ip(t, "-6", "route", "show", "2001:db8::/16") + ip(t, "-6", "route", "show", "proto", "72") +
			ip(t, "rule") + ip(t, "-6", "rule")
	}
	before := everything()
	desired := Routing{
		Routes: []VirtualRoute{
			route("0.0.0.0/0 via 192.0.2.254 dev vr0 src 192.0.2.1 table 100"),
			route("203.0.113.0/24 dev vr0 metric xx"),
			route("blackhole 203.0.113.128/25"),
			route("2001:db8:1::/48 via 2001:db8::fe"),
			route("198.51.100.0/24 via 192.0.2.9"), // is there already, another program's
		},
		Rules: []VirtualRule{
			{From: netip.MustParsePrefix("192.0.2.100/32"), Table: 100, Priority: 1000},
			{To: netip.MustParsePrefix("2001:db8:2::/48"), IPv6: true, Table: 100, Priority: 1001, Mark: 7},
		},
	}
	result := routing(t, desired)
	if len(result.Failed) != 0 || len(result.Added) != 6 {
		t.Fatalf("result %+v, want 6 added", result)
	}
	for args, want := range map[string]string{
		"route show table 100":      "default via 192.0.2.254 dev vr0 proto 72 src 192.0.2.1",
		"route show proto 72":       "203.0.113.0/24 dev vr0 scope link metric 2",
		"route show type blackhole": "blackhole 203.0.113.128/25 proto 72",
		"-6 route show proto 72":    "2001:db8:1::/48 via 2001:db8::fe dev vr0 metric 1024 pref medium",
		"rule show pref 1000":       "1000: from 192.0.2.100 lookup 100 proto 72",
		"-6 rule show pref 1001":    "1001: from all to 2001:db8:2::/48 fwmark 0x7 lookup 100 proto 72",
		"route show 198.51.100.0":   "",
	} {
		if got := ip(t, strings.Fields(args)...); !strings.Contains(got, want) {
			t.Errorf("ip %s = %q, want %q", args, got, want)
		}
	}
	if again := routing(t, desired); len(again.Added)+len(again.Removed)+len(again.Failed) != 0 {
		t.Errorf("the second time: %+v, want nothing to do", again)
	}
	// Another gateway, without a moment in which there is no route.
	desired.Routes[0].Gateway = netip.MustParseAddr("192.0.2.253")
	if changed := routing(t, desired); !slices.Equal(changed.Added, []string{"route default via 192.0.2.253 dev vr0 src 192.0.2.1 table 100"}) || len(changed.Removed) != 0 {
		t.Errorf("another gateway: %+v, want it replaced", changed)
	}
	if gone := routing(t, Routing{}); len(gone.Removed) != 6 || len(gone.Failed) != 0 {
		t.Errorf("at the end: %+v, want 6 removed", gone)
	}
	if after := everything(); after != before {
		t.Errorf("at the end:\n%s\nwant as before:\n%s", after, before)
	}
}

func TestAnotherProgramsRouteIsNotReplaced(t *testing.T) {
	link, _ := newVeth(t, "vf0", "vf1")
	addForeign(t, link, "192.0.2.1/24")
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet("203.0.113.0/24"), Gw: ipNet("192.0.2.9/32").IP}))
	result := routing(t, Routing{Routes: []VirtualRoute{route("203.0.113.0/24 via 192.0.2.254"), route("203.0.114.0/24 via 192.0.2.254")}})
	if len(result.Failed) != 1 || !strings.Contains(result.Failed[0].Error(), "another program's route") {
		t.Errorf("failed %v, want the one that is in the way", result.Failed)
	}
	// The other is not hindered.
	if !slices.Equal(result.Added, []string{"route 203.0.114.0/24 via 192.0.2.254"}) {
		t.Errorf("added %q, want the other one", result.Added)
	}
	if got, want := ip(t, "route", "show", "203.0.113.0/24"), "203.0.113.0/24 via 192.0.2.9 dev vf0"; got != want {
		t.Errorf("route = %q, want %q", got, want)
	}
	routing(t, Routing{})
}

func TestARouteThatCannotBeSetIsNamed(t *testing.T) {
	newVeth(t, "vn0", "vn1")
	for text, want := range map[string]string{
		"203.0.113.0/24 via 198.51.100.1": "network is unreachable",
		"203.0.113.0/24 dev none":         "no such interface: none",
	} {
		result := routing(t, Routing{Routes: []VirtualRoute{route(text)}})
		if len(result.Failed) != 1 || !strings.Contains(result.Failed[0].Error(), want) || !strings.Contains(result.Failed[0].Error(), "203.0.113.0/24") {
			t.Errorf("%s: failed %v, want %q", text, result.Failed, want)
		}
	}
}
