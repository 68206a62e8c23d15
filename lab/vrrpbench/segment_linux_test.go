package vrrpbench

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// many is two hosts, a and b, with links from one to the other, and virtual
// routers spread over them.
type many struct {
	*testing.B
	a, b     *testenv.Netns
	dir      string
	count    int
	links    int
	interval time.Duration
}

func linkName(i int) string { return fmt.Sprint("link", i) }

func newMany(b *testing.B, count, links int, interval time.Duration) *many {
	b.Helper()
	m := &many{B: b, a: testenv.NewNetns(b), b: testenv.NewNetns(b), dir: b.TempDir(), count: count, links: links, interval: interval}
	must := func(err error) {
		if err != nil {
			b.Error(err)
		}
	}
	for i := range links {
		m.a.Do(b, func() {
			attrs := netlink.NewLinkAttrs()
			attrs.Name = linkName(i)
			must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: linkName(i), PeerNamespace: netlink.NsFd(m.b.Fd())}))
		})
		for host, ns := range []*testenv.Netns{m.a, m.b} {
			ns.Do(b, func() {
				link, err := netlink.LinkByName(linkName(i))
				must(err)
				address := net.IPNet{IP: net.IPv4(10, byte(i), 0, byte(host+1)), Mask: net.CIDRMask(16, 32)}
				must(netlink.AddrAdd(link, &netlink.Addr{IPNet: &address}))
				must(netlink.LinkSetUp(link))
			})
		}
	}
	if b.Failed() {
		b.FailNow()
	}
	return m
}

// each calls f for every virtual router.
func (m *many) each(f func(link, vrid int, address netip.Prefix)) {
	per := (m.count + m.links - 1) / m.links
	for n := range m.count {
		link, vrid := n/per, n%per+1
		f(link, vrid, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(link), 1, byte(vrid)}), 16))
	}
}

const priorityA, priorityB = 200, 100

// floor is what the timers alone take until a backup of a priority is master.
func (m *many) floor(priority int) time.Duration {
	return 3*m.interval + time.Duration(256-priority)*m.interval/256
}

func (m *many) inside(node string) func(func()) {
	ns := m.a
	if node == "b" {
		ns = m.b
	}
	return func(f func()) { ns.Do(m.B, f) }
}

func (m *many) logPath(node string) string { return filepath.Join(m.dir, node+".log") }

// haldir starts it on node "a" or "b".
func (m *many) haldir(binary, node string) *program {
	m.Helper()
	var text strings.Builder
	m.each(func(link, vrid int, address netip.Prefix) {
		fmt.Fprintf(&text, "[[vrrp]]\nname = \"r%d-%d\"\ninterface = %q\nrouter_id = %d\npriority = { a = %d, b = %d }\ninterval = %q\naddresses = [%q]\n\n",
			link, vrid, linkName(link), vrid, priorityA, priorityB, m.interval, address)
	})
	conf, run := filepath.Join(m.dir, "haldir.toml"), filepath.Join(m.dir, node)
	m.write(conf, text.String())
	return begin(m.B, m.inside(node), m.logPath(node), binary, "run", "-c", conf, "--node", node, "--run-dir", run, "--state-dir", filepath.Join(run, "state"))
}

// keepalived likewise.
func (m *many) keepalived(binary, node string) *program {
	m.Helper()
	priority := priorityA
	if node == "b" {
		priority = priorityB
	}
	var text strings.Builder
	text.WriteString("global_defs {\n  router_id " + node + "\n}\n")
	m.each(func(link, vrid int, address netip.Prefix) {
		fmt.Fprintf(&text, "vrrp_instance r%d_%d {\n  version 3\n  state BACKUP\n  interface %s\n  virtual_router_id %d\n  priority %d\n  advert_int %v\n  virtual_ipaddress {\n    %s dev %s\n  }\n}\n",
			link, vrid, linkName(link), vrid, priority, m.interval.Seconds(), address, linkName(link))
	})
	conf := filepath.Join(m.dir, node+".conf")
	m.write(conf, text.String())
	return begin(m.B, m.inside(node), m.logPath(node), keepalivedArguments(binary, conf)...)
}

// keepalivedArguments run it in the foreground, VRRP only. What a killed one left
// would not be there after a boot.
func keepalivedArguments(binary, conf string) []string {
	_, _ = os.Remove(conf+".pid"), os.Remove(conf+".vrrp.pid")
	return []string{binary, "--dont-fork", "--log-console", "--vrrp", "--use-file", conf, "--pid", conf + ".pid", "--vrrp_pid", conf + ".vrrp.pid"}
}

func (m *many) write(name, text string) {
	m.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		m.Fatal(err)
	}
}

// rawSockets counts those of VRRP on node a.
func (m *many) rawSockets() int {
	n := 0
	m.a.Do(m.B, func() {
		text, err := os.ReadFile("/proc/thread-self/net/raw")
		if err != nil {
			m.Error(err)
		}
		n = strings.Count(string(text), ":0070 ")
	})
	return n
}
