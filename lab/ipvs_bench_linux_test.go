package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
)

// BenchmarkIPVS runs haldir and keepalived with the same services, one after the
// other in namespaces of their own: how long it takes from the start, and from the
// change of one weight, until the kernel has the last entry; and their memory.
func BenchmarkIPVS(b *testing.B) {
	for _, size := range []bulk{{1000, 10}, {10000, 4}} {
		b.Run(fmt.Sprintf("%dx%d", size.services, size.servers), func(b *testing.B) {
			for b.Loop() {
				ours := measure(b, size, startHaldir)
				theirs := measure(b, size, startKeepalived)
				b.ReportMetric(0, "ns/op")
				ours.report(b, "haldir")
				theirs.report(b, "keepalived")
				b.ReportMetric(ours.loaded.Seconds()/theirs.loaded.Seconds(), "load-ratio")
				b.ReportMetric(ours.weight.Seconds()/theirs.weight.Seconds(), "weight-ratio")
			}
		})
	}
}

// bulk is a number of services with a number of real servers each.
type bulk struct{ services, servers int }

const bulkVIP = "192.0.2.100"

func (s bulk) key(i int) ipvsctl.ServiceKey {
	return ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: netip.MustParseAddr(bulkVIP), Port: uint16(10000 + i)}
}

func (s bulk) server(i, j int) string { return fmt.Sprintf("10.%d.%d.%d", j, i/250, i%250+1) }

// weight of a real server, where that of the last one in the middle is special.
func (s bulk) weight(i, j, special int) int {
	if i == s.services/2 && j == s.servers-1 {
		return special
	}
	return 10
}

func (s bulk) haldir(special int, load string) string {
	var t strings.Builder
	fmt.Fprintf(&t, "[[vrrp]]\nname = \"edge\"\ninterface = \"lan\"\nrouter_id = 51\npriority = 150\ninterval = \"1s\"\naddresses = [\"%s/24\"]\n", bulkVIP)
	for i := range s.services {
		fmt.Fprintf(&t, "\n[[service]]\nname = \"s%05d\"\nlisten = [\"%s:%d\"]\nscheduler = \"wrr\"\nload = %q\n", i, bulkVIP, 10000+i, load)
		for j := range s.servers {
			fmt.Fprintf(&t, "[[service.real]]\naddress = %q\nweight = %d\n", s.server(i, j), s.weight(i, j, special))
		}
	}
	return t.String()
}

func (s bulk) keepalived(special int) string {
	var t strings.Builder
	for i := range s.services {
		fmt.Fprintf(&t, "virtual_server %s %d {\n lb_algo wrr\n lb_kind DR\n protocol TCP\n", bulkVIP, 10000+i)
		for j := range s.servers {
			fmt.Fprintf(&t, " real_server %s %d {\n  weight %d\n }\n", s.server(i, j), 10000+i, s.weight(i, j, special))
		}
		t.WriteString("}\n")
	}
	return t.String()
}

// contender is a daemon under way.
type contender struct {
	pid    int
	config string // its file
	text   func(special int) string
	socket string // of haldir
}

// figures are what was measured of one.
type figures struct {
	loaded, weight time.Duration
	memory, after  int // KiB, before and after the reloads
	reloads        int
}

func (f figures) report(b *testing.B, who string) {
	b.ReportMetric(f.loaded.Seconds()*1000, who+"-ms-load")
	b.ReportMetric(f.weight.Seconds()*1000, who+"-ms-weight")
	b.ReportMetric(float64(f.memory)/1024, who+"-MB")
	b.ReportMetric(float64(f.after)/1024, fmt.Sprintf("%s-MB-after-%d-reloads", who, f.reloads))
}

// measure starts a daemon, changes a weight a few times and looks at its memory.
func measure(b *testing.B, size bulk, start func(*testing.B, *testenv.Netns, bulk) contender) figures {
	b.Helper()
	ns := bulkNetns(b)
	h, err := ipvsnl.OpenNetNS(ns.Fd())
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	began := time.Now()
	c := start(b, ns, size)
	last := size.key(size.services - 1)
	await(b, h, last, func(s ipvsctl.LiveService) bool { return len(s.Dests) == size.servers })
	f := figures{loaded: time.Since(began), reloads: bulkReloads()}
	time.Sleep(2 * time.Second) // what a start has to do besides, and its garbage
	f.memory = c.memory(b)
	middle := size.key(size.services / 2)
	for i := range f.reloads {
		special := 20 + i%2
		if err := os.WriteFile(c.config, []byte(c.text(special)), 0o600); err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		if err := syscall.Kill(c.pid, syscall.SIGHUP); err != nil {
			b.Fatal(err)
		}
		await(b, h, middle, func(s ipvsctl.LiveService) bool {
			return len(s.Dests) == size.servers && s.Dests[size.servers-1].Weight == uint32(special)
		})
		if took := time.Since(began); f.weight == 0 || took < f.weight {
			f.weight = took
		}
		time.Sleep(300 * time.Millisecond) // a daemon may have more to do
	}
	time.Sleep(2 * time.Second)
	f.after = c.memory(b)
	return f
}

// bulkReloads is how many reloads a benchmark makes.
func bulkReloads() int {
	if n, err := strconv.Atoi(os.Getenv("HALDIR_BENCH_RELOADS")); err == nil {
		return n
	}
	return 5
}

// bulkNetns is a namespace with a link that has an address.
func bulkNetns(b *testing.B) *testenv.Netns {
	b.Helper()
	testenv.IPVS(b)
	ns := testenv.NewNetns(b)
	var errs []error
	ns.Do(b, func() {
		errs = append(errs, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "lan"}, PeerName: "peer"}))
		for _, name := range []string{"lan", "peer"} {
			link, err := netlink.LinkByName(name)
			if err == nil {
				err = netlink.LinkSetUp(link)
			}
			errs = append(errs, err)
			if name == "lan" && err == nil {
				address, _ := netlink.ParseAddr("192.0.2.1/24")
				errs = append(errs, netlink.AddrAdd(link, address))
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	return ns
}

// await polls a service of the kernel.
func await(b *testing.B, h *ipvsnl.Handle, key ipvsctl.ServiceKey, ready func(ipvsctl.LiveService) bool) {
	b.Helper()
	bound := time.Now().Add(3 * time.Minute)
	for {
		live, err := h.ReadServices(b.Context(), []ipvsctl.ServiceKey{key})
		if err != nil {
			b.Fatal(err)
		}
		if len(live) == 1 && ready(live[0]) {
			return
		}
		if time.Now().After(bound) {
			b.Fatalf("%v is not in the kernel: %+v", key, live)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// launch starts a program in a namespace, and ends it with the benchmark.
func launch(b *testing.B, ns *testenv.Netns, program string, args ...string) int {
	b.Helper()
	cmd := exec.Command(program, args...)
	log, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	ns.Do(b, func() { err = cmd.Start() })
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && b.Failed() {
			b.Logf("%s:\n%.4000s", program, text)
		}
		_ = log.Close()
	})
	return cmd.Process.Pid
}

func startHaldir(b *testing.B, ns *testenv.Netns, size bulk) contender {
	return haldirWith(b, ns, func(special int) string { return size.haldir(special, "always") })
}

func haldirWith(b *testing.B, ns *testenv.Netns, text func(special int) string) contender {
	b.Helper()
	binary, err := builtBinary()
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	c := contender{config: filepath.Join(dir, "haldir.toml"), text: text, socket: filepath.Join(dir, "run", control.SocketName)}
	if err := os.WriteFile(c.config, []byte(text(10)), 0o600); err != nil {
		b.Fatal(err)
	}
	c.pid = launch(b, ns, binary, "run", "-c", c.config, "--node", "lvs1", "--run-dir", filepath.Join(dir, "run"), "--state-dir", filepath.Join(dir, "state"))
	return c
}

func startKeepalived(b *testing.B, ns *testenv.Netns, size bulk) contender {
	b.Helper()
	program, err := exec.LookPath("keepalived")
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	c := contender{config: filepath.Join(dir, "keepalived.conf"), text: size.keepalived}
	if err := os.WriteFile(c.config, []byte(size.keepalived(10)), 0o600); err != nil {
		b.Fatal(err)
	}
	c.pid = launch(b, ns, program, "-n", "-l", "-C", "-f", c.config, "-p", filepath.Join(dir, "pid"), "-c", filepath.Join(dir, "checkers.pid"))
	return c
}

// memory is the proportional set size of the process and of all below it, in KiB.
func (c contender) memory(b *testing.B) int {
	b.Helper()
	parents := map[int]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		parents[pid], _ = strconv.Atoi(fields[1])
	}
	sum := 0
	for pid := range parents {
		for p := pid; p > 1; p = parents[p] {
			if p == c.pid {
				sum += pss(pid)
				break
			}
		}
	}
	return sum
}

func pss(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			kib, _ := strconv.Atoi(fields[1])
			return kib
		}
	}
	return 0
}

// BenchmarkTakeover is how long after it became the master a director has the
// entries of services that are loaded with the address alone.
func BenchmarkTakeover(b *testing.B) {
	size := bulk{1000, 10}
	for b.Loop() {
		ns := bulkNetns(b)
		h, err := ipvsnl.OpenNetNS(ns.Fd())
		if err != nil {
			b.Fatal(err)
		}
		c := haldirWith(b, ns, func(special int) string { return size.haldir(special, "master") })
		await(b, h, size.key(size.services-1), func(s ipvsctl.LiveService) bool { return len(s.Dests) == size.servers })
		complete := time.Now()
		status, err := control.NewClient(c.socket).Status(context.Background())
		if err := errors.Join(err, h.Close()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(complete.Sub(status.Routers[0].Since).Seconds()*1000, "ms-to-last-entry")
	}
}
