package doctor

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/ipvsctl"
)

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
	// ipvs and table are what this kernel, which has no ip_vs, would show of it.
	ipvs  map[string]string
	table ipvsctl.LiveTable
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

// collide sets the real server's IPv6 address anew while another station has it.
func (w *ward) collide() {
	w.t.Helper()
	const address = "2001:db8::11/64"
	w.without("eth0", address)
	w.station(address)
	w.sysctl("net/ipv6/conf/eth0/router_solicitation_delay", "0")
	a := parse(w.t, address, 0)
	a.Flags = 0 // with duplicate address detection
	w.link("eth0", func(l netlink.Link) error { return netlink.AddrAdd(l, a) })
	w.until("the kernel found the other station", func() bool {
		refused := false
		w.link("eth0", func(l netlink.Link) error {
			list, err := netlink.AddrList(l, netlink.FAMILY_V6)
			for _, is := range list {
				refused = refused || is.Equal(*a) && is.Flags&unix.IFA_F_DADFAILED != 0
			}
			return err
		})
		return refused
	})
}

func (w *ward) until(what string, reached func() bool) {
	w.t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(30 * time.Second)
	for !reached() {
		select {
		case <-ticker.C:
		case <-limit:
			w.t.Fatalf("not within 30 s: %s", what)
		}
	}
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

func (w *ward) noRoute6() {
	w.t.Helper()
	w.do(func() error {
		return netlink.RouteDel(&netlink.Route{Dst: &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}})
	})
}

// runAs runs a program with a name in the namespace until the test ends.
func (w *ward) runAs(name string) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), name)
	if err := os.Symlink("/proc/self/exe", path); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), idleVariable+"=1")
	hold, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	w.do(cmd.Start)
	w.t.Cleanup(func() {
		_ = hold.Close()
		_ = cmd.Wait()
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
	if w.table != nil {
		in.Host.Table = w.table
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
