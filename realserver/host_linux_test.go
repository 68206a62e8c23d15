package realserver

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// onHost is a Runner on this namespace, with its State for the services.
func onHost(t *testing.T, services ...config.Service) (*Runner, State) {
	t.Helper()
	host, err := ReadHost()
	if err != nil {
		t.Fatal(err)
	}
	state, err := Desired(cluster(services...), host)
	if err != nil {
		t.Fatal(err)
	}
	return &Runner{StateDir: t.TempDir(), Kernel: HostKernel(), Log: slog.New(slog.DiscardHandler)}, state
}

// setOdd gives sysctls values that are neither the kernel's defaults nor ours,
// where the kernel allows, and returns all there are of conf.
func setOdd(t *testing.T, values map[string]string) map[string]string {
	t.Helper()
	for path, value := range values {
		if err := netif.WriteSysctl("net/ipv4/conf/"+path, value); err != nil {
			t.Fatal(err)
		}
	}
	return confSysctls(t)
}

// confSysctls reads all IPv4 settings of all interfaces.
func confSysctls(t *testing.T) map[string]string {
	t.Helper()
	const root = "net/ipv4/conf"
	all := map[string]string{}
	interfaces, err := os.ReadDir("/proc/sys/" + root)
	if err != nil {
		t.Fatal(err)
	}
	for _, ifi := range interfaces {
		keys, err := os.ReadDir("/proc/sys/" + root + "/" + ifi.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			path := root + "/" + ifi.Name() + "/" + key.Name()
			if value, err := netif.ReadSysctl(path); err == nil { // one of them is for writing only
				all[path] = value
			}
		}
	}
	return all
}

func addresses(t *testing.T) []netif.PresentAddress {
	t.Helper()
	list, err := HostKernel().ReadAddresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func expectAllOK(t *testing.T, r *Runner, state State) {
	t.Helper()
	findings, err := r.Verify(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if !f.OK {
			t.Errorf("finding %+v", f)
		}
	}
}

func TestDROnTheKernelIsSilentThroughoutAndUndoneExactly(t *testing.T) {
	far := segment(t)
	r, state := onHost(t, service("web", "dr", "192.0.2.100:80", "192.0.2.11"), service("tls", "dr", "192.0.2.100:443", "192.0.2.11"))
	sysctls := setOdd(t, map[string]string{"all/arp_ignore": "0", "all/arp_announce": "1", "eth0/arp_ignore": "0", "eth0/arp_announce": "0"})
	holdAsDirector(t, "192.0.2.200/24")
	before := addresses(t)
	asker := hammer(t, far, vip, serverAddr)
	asker.expectSilence("before")

	for range 5 {
		if err := r.Apply(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		asker.expectSilence("after apply")
		if err := r.Apply(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		expectAllOK(t, r, state)

		want := append(addressesOf(before), "192.0.2.100/32 on lo")
		if d := cmp.Diff(want, addressesOf(addresses(t)), sorted); d != "" {
			t.Errorf("addresses (-want +got):\n%s", d)
		}
		// The reply's own ARP request names the real server, not the VIP.
		sendFrom(t, vip, netip.MustParseAddr("192.0.2.77"))
		asked := arpFrame{sender: serverAddr, target: netip.MustParseAddr("192.0.2.77")}
		asker.until("the real server's request for its client", func() bool {
			n, _ := asker.counts(func(f arpFrame) bool { return f == asked })
			return n > 0
		})
		asker.expectSilence("after a reply from the VIP")

		if err := r.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		asker.expectSilence("after remove")
		if d := cmp.Diff(sysctls, confSysctls(t)); d != "" {
			t.Errorf("sysctls after remove (-before +after):\n%s", d)
		}
		if d := cmp.Diff(before, addresses(t), equateNetip); d != "" {
			t.Errorf("addresses after remove (-before +after):\n%s", d)
		}
	}
	if left, err := os.ReadDir(r.StateDir); err != nil || len(left) != 0 {
		t.Errorf("in the state directory: %v, %v; want nothing", left, err)
	}

	// That the asker would have heard it: the VIP as it must not be put there.
	if _, err := HostKernel().ReconcileAddresses(t.Context(), []netif.Address{state.Addresses[0].Address}); err != nil {
		t.Fatal(err)
	}
	asker.until("an answer for a VIP that is not hidden", func() bool { n, _ := asker.counts(from(vip)); return n > 0 })
	if err := r.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A pair of two machines: each is a director, and a real server of its peer. The
// roles share the VIP and nothing else.
func TestTheDirectorsRoleComesAndGoesBesideTheRealServer(t *testing.T) {
	far := segment(t)
	r, state := onHost(t, service("web", "dr", "192.0.2.100:80", "192.0.2.11"))
	state.Directs, state.Silences = true, nil
	sysctls, before := confSysctls(t), addresses(t)
	asker := hammer(t, far, vip, serverAddr)
	asker.expectSilence("before")
	if err := r.Apply(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		heard, _ := asker.counts(from(vip))
		holdAsDirector(t, "192.0.2.100/24")
		asker.until("an answer of the master", func() bool { n, _ := asker.counts(from(vip)); return n > heard })
		if err := r.Apply(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		expectAllOK(t, r, state)

		director := netif.NewAddresses()
		director.Interfaces = func(name string) bool { return name == "eth0" }
		if result, err := director.Reconcile(t.Context(), nil); err != nil || len(result.Removed) != 1 {
			t.Fatalf("losing the role: %+v, %v", result, err)
		}
		asker.rounds(20) // what was asked before has been answered
		silent, _ := asker.counts(from(vip))
		asker.rounds(20)
		if n, _ := asker.counts(from(vip)); n != silent {
			t.Errorf("a backup has answered for the VIP %d times", n-silent)
		}
		expectAllOK(t, r, state)
		want := append(addressesOf(before), "192.0.2.100/32 on lo")
		if d := cmp.Diff(want, addressesOf(addresses(t)), sorted); d != "" {
			t.Errorf("addresses of a backup (-want +got):\n%s", d)
		}
		sendFrom(t, vip, askerAddr) // it serves: the VIP is its own
	}
	// A real server that is taken away leaves the master what it has.
	holdAsDirector(t, "192.0.2.100/24")
	if err := r.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(append(addressesOf(before), "192.0.2.100/24 on eth0"), addressesOf(addresses(t)), sorted); d != "" {
		t.Errorf("addresses of the master after remove (-want +got):\n%s", d)
	}
	if d := cmp.Diff(sysctls, confSysctls(t)); d != "" {
		t.Errorf("sysctls after remove (-before +after):\n%s", d)
	}
}

// holdAsDirector puts an address on eth0 as the director's process of this host
// would.
func holdAsDirector(t *testing.T, prefix string) {
	t.Helper()
	director := netif.NewAddresses()
	director.Interfaces = func(name string) bool { return name == "eth0" }
	held := []netif.Address{{Interface: "eth0", Prefix: netip.MustParsePrefix(prefix)}}
	if result, err := director.Reconcile(t.Context(), held); err != nil || len(result.Added) != 1 {
		t.Fatalf("adding %s: %+v, %v", prefix, result, err)
	}
}

var sorted = cmpopts.SortSlices(strings.Compare)

func addressesOf(list []netif.PresentAddress) []string {
	var text []string
	for _, p := range list {
		text = append(text, p.Address.String())
	}
	return text
}

func TestNATOnTheKernel(t *testing.T) {
	segment(t)
	r, state := onHost(t, service("web", "nat", "192.0.2.100:80", "192.0.2.11"))
	sysctls := setOdd(t, map[string]string{"all/accept_redirects": "1", "eth0/accept_redirects": "1"})
	before := addresses(t)
	if err := r.Apply(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"all", "eth0"} {
		if got, err := netif.ReadSysctl("net/ipv4/conf/" + name + "/accept_redirects"); err != nil || got != "0" {
			t.Errorf("%s/accept_redirects = %q, %v; want 0", name, got, err)
		}
	}
	reply := func() Finding {
		t.Helper()
		findings, err := r.Verify(t.Context(), state)
		if err != nil {
			t.Fatal(err)
		}
		return findings[len(findings)-1]
	}
	if got := reply(); got.OK || got.Got != "none" {
		t.Errorf("without a default route: %+v, want a fault, none", got)
	}
	for _, tt := range []struct {
		gateway string
		ok      bool
	}{{"192.0.2.1", false}, {"192.0.2.100", true}} {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			t.Fatal(err)
		}
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: netip.MustParseAddr(tt.gateway).AsSlice()}
		if err := netlink.RouteReplace(route); err != nil {
			t.Fatal(err)
		}
		if got := reply(); got.OK != tt.ok || got.Got != "via "+tt.gateway+" on eth0" {
			t.Errorf("with the default route via %s: %+v, want OK = %v", tt.gateway, got, tt.ok)
		}
	}
	expectPolicyRoutingCounts(t, reply)
	if d := cmp.Diff(before, addresses(t), equateNetip); d != "" {
		t.Errorf("addresses (-before +after):\n%s", d)
	}
	if err := r.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sysctls, confSysctls(t)); d != "" {
		t.Errorf("sysctls after remove (-before +after):\n%s", d)
	}
}

// expectPolicyRoutingCounts leads what the real server's address sends past the
// director, by a rule, though the default route is right.
func expectPolicyRoutingCounts(t *testing.T, reply func() Finding) {
	t.Helper()
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	rule := netlink.NewRule()
	rule.Src, rule.Table = &net.IPNet{IP: serverAddr.AsSlice(), Mask: net.CIDRMask(32, 32)}, 100
	past := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: netip.MustParseAddr("192.0.2.1").AsSlice(), Table: 100}
	if err := errors.Join(netlink.RouteAdd(past), netlink.RuleAdd(rule)); err != nil {
		t.Fatal(err)
	}
	if got := reply(); got.OK || got.Got != "via 192.0.2.1 on eth0" {
		t.Errorf("with a rule that leads past the director: %+v, want it found", got)
	}
	if err := netlink.RuleDel(rule); err != nil {
		t.Fatal(err)
	}
	if got := reply(); !got.OK {
		t.Errorf("without the rule: %+v, want OK", got)
	}
}

func TestAVIPThatSomebodyElseSetStaysOnTheKernel(t *testing.T) {
	segment(t)
	r, state := onHost(t, service("web", "dr", "192.0.2.100:80", "192.0.2.11"))
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := netlink.ParseAddr("192.0.2.100/32")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(lo, theirs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.AddrDel(lo, theirs) })
	before, sysctls := addresses(t), confSysctls(t)
	var foreign *ForeignAddressError
	if err := r.Apply(t.Context(), state); !errors.As(err, &foreign) {
		t.Errorf("Apply: %v, want a ForeignAddressError", err)
	}
	if err := r.Remove(t.Context()); err != nil {
		t.Errorf("Remove: %v", err)
	}
	if d := cmp.Diff(before, addresses(t), equateNetip); d != "" {
		t.Errorf("addresses (-before +after):\n%s", d)
	}
	if d := cmp.Diff(sysctls, confSysctls(t)); d != "" {
		t.Errorf("sysctls (-before +after):\n%s", d)
	}
}

func TestTUNWithoutIPIPInTheKernelChangesNothing(t *testing.T) {
	if testenv.Root(t); hasIPIP(t) {
		t.Skip("this kernel has ipip: TestTUNOnTheKernel takes it from here")
	}
	segment(t)
	r, state := onHost(t, service("web", "tun", "192.0.2.100:80", "192.0.2.11"))
	before, sysctls := addresses(t), confSysctls(t)
	if err := r.Apply(t.Context(), state); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Apply: %v, want one that matches ErrUnsupported", err)
	}
	if d := cmp.Diff(before, addresses(t), equateNetip); d != "" {
		t.Errorf("addresses (-before +after):\n%s", d)
	}
	if d := cmp.Diff(sysctls, confSysctls(t)); d != "" {
		t.Errorf("sysctls (-before +after):\n%s", d)
	}
}
