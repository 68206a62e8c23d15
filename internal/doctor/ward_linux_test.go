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
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// clusterText is the configuration of the tests, in both families; MODE is replaced.
const clusterText = `
[[vrrp]]
name      = "edge"
interface = "eth0"
router_id = 51
priority  = { d1 = 150, d2 = 100 }
addresses = ["192.0.2.100/24", "2001:db8::100/64"]

[[service]]
name    = "web"
listen  = ["192.0.2.100:80", "[2001:db8::100]:80"]
forward = "MODE"
[[service.real]]
address = "192.0.2.11"
[[service.real]]
address = "2001:db8::11"
`

// tunnelText is the same for tunnels, which carry IPv4.
const tunnelText = `
[[vrrp]]
name      = "edge"
interface = "eth0"
router_id = 51
priority  = { d1 = 150, d2 = 100 }
addresses = ["192.0.2.100/24"]

[[service]]
name    = "web"
listen  = ["192.0.2.100:80"]
forward = "tun"
TUNNEL
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
	// listeners wait for connections.
	listeners []net.Listener
	// kernel, if set, has the modules looked up, after it made them what they are to
	// be for this thread.
	kernel func() error
	// look, if set, looks around for as long as the doctor does.
	look func(facts.Look) *facts.Segment
	// ipvs is what this kernel, which has no ip_vs, would show of it.
	ipvs map[string]string
}

// text is the configuration by a mode: "dr", "nat", "tun", or a type of tunnel.
func text(mode string) string {
	switch mode {
	case "dr", "nat":
		return strings.Replace(clusterText, "MODE", mode, 1)
	case "tun":
		return strings.Replace(tunnelText, "TUNNEL", "", 1)
	}
	port := ""
	if mode == "gue" {
		port = ", port = 6080"
	}
	return strings.Replace(tunnelText, "TUNNEL", `tunnel = { type = "`+mode+`"`+port+` }`, 1)
}

func load(t *testing.T, node, text string) *config.Config {
	t.Helper()
	cfg, err := config.LoadTexts([]config.Text{{Name: "haldir.toml", Text: text}}, config.Options{Node: node})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func newWard(t *testing.T, node, mode string) *ward {
	t.Helper()
	w := &ward{t: t, ns: testenv.NewNetns(t), far: testenv.NewNetns(t), cfg: load(t, node, text(mode)), files: fstest.MapFS{}}
	for _, key := range []string{"arp_filter", "arp_ignore", "arp_announce", "rp_filter", "send_redirects", "accept_redirects"} {
		for _, name := range []string{"all", "default"} {
			w.sysctl("net/ipv4/conf/"+name+"/"+key, "0")
		}
	}
	w.sysctl("net/ipv4/ip_forward", "0")
	w.sysctl("net/ipv4/conf/default/forwarding", "0")
	w.sysctl("net/ipv6/conf/all/forwarding", "0")
	w.sysctl("net/ipv6/conf/default/accept_redirects", "0")
	return w
}

// realServer is a healthy real server of web, by the mode.
func realServer(t *testing.T, mode string) *ward {
	w := newWard(t, "rs1", mode)
	w.cable("eth0", "192.0.2.11/24", "2001:db8::11/64")
	routers := []string{"192.0.2.1", "2001:db8::1"}
	if mode == "nat" {
		routers = []string{"192.0.2.100", "2001:db8::100"}
	} else {
		w.sysctl("net/ipv4/conf/all/arp_ignore", "1")
		w.sysctl("net/ipv4/conf/all/arp_announce", "2")
		w.address("lo", "192.0.2.100/32")
		if mode == "dr" {
			w.address("lo", "2001:db8::100/128")
		}
	}
	for _, r := range routers {
		w.route(r, "eth0")
	}
	w.listen(":80")
	return w
}

// director is a healthy one whose daemon runs, and is backup.
func director(t *testing.T, mode string) *ward {
	w := newWard(t, "d1", mode)
	w.cable("eth0", "192.0.2.2/24", "2001:db8::2/64")
	w.route("192.0.2.1", "eth0")
	w.route("2001:db8::1", "eth0")
	w.role("backup")
	if mode == "nat" {
		w.sysctl("net/ipv4/conf/eth0/forwarding", "1")
		w.sysctl("net/ipv6/conf/eth0/accept_ra", "2")
		w.sysctl("net/ipv6/conf/all/forwarding", "1")
	}
	return w
}

// master is a director that holds the addresses.
func master(t *testing.T, mode string) *ward {
	w := director(t, mode)
	w.role("master")
	for _, v := range w.cfg.VRRP[0].Addresses {
		w.tagged("eth0", v.String(), netif.Protocol)
	}
	return w
}

// twoBox is a director that is a real server as well, and is backup.
func twoBox(t *testing.T, mode string) *ward {
	w := realServer(t, mode)
	w.cfg = load(t, "d1", text(mode))
	w.role("backup")
	return w
}

// twoBoxMaster has the addresses on the interface and on lo.
func twoBoxMaster(t *testing.T, mode string) *ward {
	w := twoBox(t, mode)
	w.role("master")
	for _, v := range w.cfg.VRRP[0].Addresses {
		w.tagged("eth0", v.String(), netif.Protocol)
	}
	return w
}

// bystander is a host in the segment that has no part in the cluster.
func bystander(t *testing.T, mode string) *ward {
	w := newWard(t, "desk", mode)
	w.cable("eth0", "192.0.2.77/24", "2001:db8::77/64")
	return w
}

// role has the daemon say that it has a role, in both families.
func (w *ward) role(state string) {
	w.status = &control.Status{}
	for _, v := range w.cfg.Routers() {
		w.status.Routers = append(w.status.Routers, control.RouterStatus{Name: v.Name, State: state, Interface: v.Interface, VRID: v.RouterID})
	}
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
	a.Protocol, a.Flags = proto, unix.IFA_F_NODAD
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

// listen waits for connections until the test ends, or until deaf.
func (w *ward) listen(at string) {
	w.t.Helper()
	network := "tcp"
	if strings.HasPrefix(at, "0.0.0.0") {
		network = "tcp4"
	}
	var l net.Listener
	w.do(func() (err error) {
		l, err = net.Listen(network, at)
		return err
	})
	w.listeners = append(w.listeners, l)
	w.t.Cleanup(func() { _ = l.Close() })
}

// deaf ends all listening.
func (w *ward) deaf() {
	for _, l := range w.listeners {
		_ = l.Close()
	}
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
			WaysTo: []netip.Addr{netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("2001:db8::11")}, Files: w.files,
		})
		if w.kernel == nil {
			return
		}
		if err := w.kernel(); err != nil {
			w.t.Error(err)
		}
		in.Host.ReadModules(Modules(in)...)
	})
	if w.look != nil {
		in.Segment = w.look(Look(in))
	}
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
