package doctor

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// clusterText is the configuration of the tests; MODE is replaced.
const clusterText = `
[[vrrp]]
name      = "edge"
interface = "eth0"
router_id = 51
priority  = { d1 = 150, d2 = 100 }
addresses = ["192.0.2.100/24"]

[[service]]
name    = "web"
listen  = ["192.0.2.100:80"]
forward = "MODE"
[[service.real]]
address = "192.0.2.11"
`

// ward is a network namespace with a host in it, healthy at first.
type ward struct {
	t      *testing.T
	ns     *testenv.Netns
	far    *testenv.Netns // the other ends of its cables
	cfg    *config.Config
	status *control.Status
	files  fstest.MapFS
	// ipvs is what this kernel, which has no ip_vs, would show of it.
	ipvs map[string]string
}

func load(t *testing.T, node, mode string) *config.Config {
	t.Helper()
	text := config.Text{Name: "haldir.toml", Text: strings.Replace(clusterText, "MODE", mode, 1)}
	cfg, err := config.LoadTexts([]config.Text{text}, config.Options{Node: node})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func newWard(t *testing.T, node, mode string) *ward {
	t.Helper()
	w := &ward{t: t, ns: testenv.NewNetns(t), far: testenv.NewNetns(t), cfg: load(t, node, mode), files: fstest.MapFS{}}
	for _, key := range []string{"arp_filter", "arp_ignore", "arp_announce", "rp_filter", "send_redirects", "accept_redirects"} {
		for _, name := range []string{"all", "default"} {
			w.sysctl("net/ipv4/conf/"+name+"/"+key, "0")
		}
	}
	w.sysctl("net/ipv4/ip_forward", "0")
	w.sysctl("net/ipv4/conf/default/forwarding", "0")
	return w
}

// realServer is a healthy real server of web, by the mode.
func realServer(t *testing.T, mode string) *ward {
	w := newWard(t, "rs1", mode)
	w.cable("eth0", "192.0.2.11/24")
	gateway := "192.0.2.1"
	if mode == "nat" {
		gateway = "192.0.2.100"
	} else {
		w.sysctl("net/ipv4/conf/all/arp_ignore", "1")
		w.sysctl("net/ipv4/conf/all/arp_announce", "2")
		w.address("lo", "192.0.2.100/32")
	}
	w.route(gateway, "eth0")
	w.listen(":80")
	return w
}

// director is a healthy one whose daemon runs.
func director(t *testing.T, mode string) *ward {
	w := newWard(t, "d1", mode)
	w.cable("eth0", "192.0.2.2/24")
	w.route("192.0.2.1", "eth0")
	w.status = &control.Status{Routers: []control.RouterStatus{{Name: "edge", State: "master"}}}
	if mode == "nat" {
		w.sysctl("net/ipv4/conf/eth0/forwarding", "1")
	}
	return w
}

// do runs fn in the namespace.
func (w *ward) do(fn func() error) {
	w.t.Helper()
	var err error
	w.ns.Do(w.t, func() { err = fn() })
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *ward) sysctl(path, value string) {
	w.t.Helper()
	w.do(func() error { return netif.WriteSysctl(path, value) })
}

// cable adds an interface that is up and has carrier.
func (w *ward) cable(name string, addrs ...string) {
	w.t.Helper()
	w.do(func() error {
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name, PeerNamespace: netlink.NsFd(w.far.Fd())})
	})
	w.up(name)
	w.far.Do(w.t, func() {
		if link, err := netlink.LinkByName(name); err != nil || netlink.LinkSetUp(link) != nil {
			w.t.Errorf("setting the far end of %s up: %v", name, err)
		}
	})
	for _, a := range addrs {
		w.address(name, a)
	}
}

func (w *ward) link(name string, change func(netlink.Link) error) {
	w.t.Helper()
	w.do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return change(link)
	})
}

func (w *ward) up(name string) { w.link(name, netlink.LinkSetUp) }

func parse(t *testing.T, prefix string, proto int) *netlink.Addr {
	t.Helper()
	a, err := netlink.ParseAddr(prefix)
	if err != nil {
		t.Fatal(err)
	}
	a.Protocol = proto
	return a
}

func (w *ward) address(name, prefix string) { w.tagged(name, prefix, 0) }

func (w *ward) tagged(name, prefix string, proto int) {
	w.t.Helper()
	w.link(name, func(l netlink.Link) error { return netlink.AddrAdd(l, parse(w.t, prefix, proto)) })
}

func (w *ward) without(name, prefix string) {
	w.t.Helper()
	w.link(name, func(l netlink.Link) error { return netlink.AddrDel(l, parse(w.t, prefix, 0)) })
}

// route makes the default route lead to a gateway.
func (w *ward) route(gateway, name string) {
	w.t.Helper()
	w.link(name, func(l netlink.Link) error {
		return netlink.RouteReplace(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: netip.MustParseAddr(gateway).AsSlice()})
	})
}

func (w *ward) noRoute() {
	w.t.Helper()
	w.do(func() error {
		return netlink.RouteDel(&netlink.Route{Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}})
	})
}

// listen waits for connections until the test ends.
func (w *ward) listen(at string) (stop func()) {
	w.t.Helper()
	var l net.Listener
	w.do(func() (err error) {
		l, err = net.Listen("tcp", at)
		return err
	})
	w.t.Cleanup(func() { _ = l.Close() })
	return func() { _ = l.Close() }
}

// mss makes the default route name a segment size to TCP peers.
func (w *ward) mss(size int) {
	w.t.Helper()
	w.link("eth0", func(l netlink.Link) error {
		return netlink.RouteReplace(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.IPv4(192, 0, 2, 1), AdvMSS: size})
	})
}

func (w *ward) file(name, text string) { w.files[name] = &fstest.MapFile{Data: []byte(text)} }

// index returns the number of an interface as text.
func (w *ward) index(name string) string {
	index := 0
	w.link(name, func(l netlink.Link) error { index = l.Attrs().Index; return nil })
	return strconv.Itoa(index)
}

// examine reads the host and examines it.
func (w *ward) examine() []Finding {
	w.t.Helper()
	in := Input{Config: w.cfg, Status: w.status}
	w.ns.Do(w.t, func() {
		in.Host = facts.Read(w.t.Context(), facts.Wants{
			WaysTo: []netip.Addr{netip.MustParseAddr("192.0.2.11")}, Files: w.files,
		})
	})
	for _, u := range in.Host.Unknown {
		w.t.Errorf("unknown: %s: %s", u.What, u.Reason)
	}
	for path, value := range w.ipvs {
		in.Host.Sysctls["net/ipv4/vs/"+path] = value
	}
	return Examine(in)
}

// expect compares the kinds that are found, in order, and returns the findings.
func (w *ward) expect(ids ...string) []Finding {
	w.t.Helper()
	found := w.examine()
	var got []string
	for _, f := range found {
		got = append(got, f.ID)
	}
	if d := cmp.Diff(ids, got); d != "" {
		w.t.Errorf("kinds of findings (-want +got):\n%s\n%+v", d, found)
	}
	return found
}
