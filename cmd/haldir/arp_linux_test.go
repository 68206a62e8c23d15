package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// segment is a machine on br0, with stations plugged in.
type segment struct {
	machine
	stations int
}

// newSegment has 192.0.2.5/24 and 2001:db8::5/64 on br0.
func newSegment(t *testing.T, config string) *segment {
	t.Helper()
	s := &segment{machine: machine{t: t, ns: testenv.NewNetns(t), config: write(t, config), runDir: t.TempDir()}}
	s.inside(s.ns, func() error {
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}); err != nil {
			return err
		}
		return hold("br0", "192.0.2.5/24", "2001:db8::5/64")
	})
	return s
}

func (s *segment) inside(ns *testenv.Netns, fn func() error) {
	s.t.Helper()
	var err error
	ns.Do(s.t, func() { err = fn() })
	if err != nil {
		s.t.Fatal(err)
	}
}

// hold sets a link up and gives it addresses.
func hold(name string, addrs ...string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	for _, a := range addrs {
		if err != nil {
			return err
		}
		prefix := netip.MustParsePrefix(a)
		err = netlink.AddrAdd(link, &netlink.Addr{
			IPNet: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}, Flags: unix.IFA_F_NODAD,
		})
	}
	return err
}

// station plugs a machine in that has the addresses, and the MAC 02:00:00:00:00:NN.
func (s *segment) station(number byte, addrs ...string) *testenv.Netns {
	s.t.Helper()
	s.stations++
	far := testenv.NewNetns(s.t)
	port := fmt.Sprintf("port%d", s.stations)
	s.inside(s.ns, func() error {
		bridge, err := netlink.LinkByName("br0")
		if err != nil {
			return err
		}
		pair := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: port, MasterIndex: bridge.Attrs().Index}, PeerName: "eth0",
			PeerNamespace: netlink.NsFd(far.Fd()), PeerHardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, number},
		}
		if err := netlink.LinkAdd(pair); err != nil {
			return err
		}
		return netlink.LinkSetUp(pair)
	})
	s.inside(far, func() error { return hold("eth0", addrs...) })
	s.until("the bridge forwards", func() bool {
		forwards := false
		s.ns.Do(s.t, func() {
			link, err := netlink.LinkByName(port)
			forwards = err == nil && link.Attrs().OperState == netlink.OperUp
		})
		return forwards
	})
	return far
}

func (s *segment) until(what string, reached func() bool) {
	s.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(patience)
	for !reached() {
		select {
		case <-ticker.C:
		case <-limit:
			s.t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// arp runs haldir arp.
func (s *segment) arp(args ...string) (int, string) {
	s.t.Helper()
	return s.run(nil, append([]string{"arp", "-c", s.config, "--run-dir", s.runDir, "--timeout", "300ms"}, args...)...)
}

const webCluster = router + service

func TestARPNamesEveryOwner(t *testing.T) {
	s := newSegment(t, webCluster)
	one := s.station(0x11, "192.0.2.11/24", "192.0.2.100/24", "2001:db8::100/64")
	s.station(0x22, "192.0.2.22/24")

	status, output := s.arp("192.0.2.100")
	if want := "192.0.2.100  is at 02:00:00:00:00:11  real server 192.0.2.11  after "; status != exitDone || !strings.HasPrefix(output, want) {
		t.Errorf("status %d, output %q, want %d and %q", status, output, exitDone, want)
	}
	s.until("an answer by IPv6", func() bool { status, output = s.arp("2001:db8::100"); return status == exitDone })
	if want := "2001:db8::100  is at 02:00:00:00:00:11  real server 192.0.2.11  after "; !strings.HasPrefix(output, want) {
		t.Errorf("output %q, want %q", output, want)
	}
	status, output = s.arp("192.0.2.99")
	if want := "nobody on br0 has 192.0.2.99\n"; status != exitProblem || output != want {
		t.Errorf("status %d, output %q, want %d and %q", status, output, exitProblem, want)
	}
	status, output = s.arp("192.0.2.5")
	if want := "192.0.2.5  this host has it on br0\n"; status != exitDone || output != want {
		t.Errorf("status %d, output %q, want %d and %q", status, output, exitDone, want)
	}

	// The probes came from nowhere: nobody has learned this host.
	one.Do(t, func() {
		if list, err := netlink.NeighList(0, netlink.FAMILY_V4); err != nil || len(list) != 0 {
			t.Errorf("neighbours of the station = %v, %v, want none", list, err)
		}
	})
	if status, output = s.arp("192.0.2.100", "--own-address"); status != exitDone {
		t.Errorf("from the own address: status %d, output %q", status, output)
	}
	one.Do(t, func() {
		if list, err := netlink.NeighList(0, netlink.FAMILY_V4); err != nil || len(list) != 1 || !list[0].IP.Equal(net.IPv4(192, 0, 2, 5)) {
			t.Errorf("neighbours of the station = %v, %v, want 192.0.2.5", list, err)
		}
	})
}

func TestTwoOwnersAreAProblem(t *testing.T) {
	s := newSegment(t, webCluster)
	s.station(0x11, "192.0.2.11/24", "192.0.2.100/24")
	s.station(0x22, "192.0.2.22/24", "192.0.2.100/24", "192.0.2.5/24")
	status, output := s.arp("192.0.2.100", "--json")
	var found owners
	if err := json.Unmarshal([]byte(output), &found); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	names := map[string]string{}
	for _, a := range found.Answers {
		names[a.MAC] = a.Name
	}
	if status != exitProblem || len(names) != 2 || names["02:00:00:00:00:11"] != "real server 192.0.2.11" || names["02:00:00:00:00:22"] != "" {
		t.Errorf("status %d, answers %v, want %d and both stations", status, names, exitProblem)
	}
	// One other is too many for an address that this host has.
	status, output = s.arp("192.0.2.5")
	if status != exitProblem || !strings.Contains(output, "02:00:00:00:00:22") || !strings.HasSuffix(output, "2 stations have 192.0.2.5\n") {
		t.Errorf("own address: status %d, output %q", status, output)
	}
}

func TestARPWatchPrintsWhatChanges(t *testing.T) {
	s := newSegment(t, webCluster)
	one := s.station(0x11, "192.0.2.100/24")
	two := s.station(0x22)
	log, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	cmd, _ := s.command(nil, "arp", "-c", s.config, "--run-dir", s.runDir, "--timeout", "100ms", "--watch", "192.0.2.100")
	cmd.Stdout = log
	s.ns.Do(t, func() { err = cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	seen := func(line string) func() bool {
		return func() bool {
			text, err := os.ReadFile(log.Name())
			return err == nil && strings.Contains(string(text), line)
		}
	}
	s.until("the owner", seen("  192.0.2.100: 02:00:00:00:00:11\n"))
	s.inside(one, func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(link)
	})
	s.until("nobody", seen("  192.0.2.100: nobody, was 02:00:00:00:00:11\n"))
	s.inside(two, func() error { return hold("eth0", "192.0.2.100/24") })
	s.until("the other", seen("  192.0.2.100: 02:00:00:00:00:22, was nobody\n"))
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after the interrupt: %v, want status 0, since there was never more than one", err)
	}
}

func TestARPRefusesWhatItCannotAsk(t *testing.T) {
	s := newSegment(t, webCluster)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"192.0.2"}, `haldir: "192.0.2" is no address`},
		{[]string{"192.0.2.100", "-i", "eth7"}, `haldir: there is no interface "eth7"`},
		{[]string{"192.0.2.100", "--count", "0"}, "haldir: --count 0: legal is 1 to 100"},
		{[]string{"192.0.2.100", "--timeout", "5ms"}, "haldir: --timeout 5ms: legal is 10ms to 1m"},
		{[]string{"198.51.100.1"}, "haldir: which interface 198.51.100.1 is behind is not clear: name it with --interface"},
		{[]string{"198.51.100.1", "-i", "lo"}, "haldir: asking for 198.51.100.1 on lo"},
	} {
		status, output := s.arp(tt.args...)
		if status == exitDone || !strings.HasPrefix(output, tt.want) {
			t.Errorf("%v: status %d, output %q, want %q", tt.args, status, output, tt.want)
		}
	}
	s.inside(s.ns, func() error {
		return netlink.RouteAdd(&netlink.Route{Gw: net.IPv4(192, 0, 2, 1)})
	})
	if status, output := s.arp("198.51.100.1"); status != exitUsage || !strings.Contains(output, "behind router 192.0.2.1") {
		t.Errorf("across a router: status %d, output %q", status, output)
	}
}
