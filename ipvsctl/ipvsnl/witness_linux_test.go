package ipvsnl_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	moby "github.com/moby/ipvs"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// rules is ipvstest.Everything in the words of ipvsadm, written by hand.
const rules = `
-A -t 192.0.2.1:80 -s wrr
-a -t 192.0.2.1:80 -r 198.51.100.1:80 -g -w 1
-a -t 192.0.2.1:80 -r 198.51.100.2:80 -i -w 0 --tun-type ipip
-a -t 192.0.2.1:80 -r 198.51.100.3:8080 -m -w 65535 -x 1000 -y 800
-a -t 192.0.2.1:80 -r 127.0.0.1:80 -g -w 7
-A -t 192.0.2.1:443 -s sh -p 300 -M 255.255.255.0 -b sh-fallback,sh-port
-A -t 192.0.2.2:0 -s wlc -p 3600
-a -t 192.0.2.2:0 -r 198.51.100.1:0 -g -w 1
-A -u 192.0.2.1:53 -s rr -o
-a -u 192.0.2.1:53 -r 198.51.100.1:53 -m -w 3
-A -u 192.0.2.1:5060 -s rr -p 60 --pe sip
-A --sctp-service 192.0.2.1:3868 -s lc
-a --sctp-service 192.0.2.1:3868 -r 198.51.100.1:3868 -m -w 1 -x 10
-A -t [2001:db8::1]:80 -s mh -p 30 -M 64 -b mh-port
-a -t [2001:db8::1]:80 -r [2001:db8:1::1]:80 -g -w 1
-a -t [2001:db8::1]:80 -r 198.51.100.4:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
-a -t [2001:db8::1]:80 -r [2001:db8:1::2]:80 -i -w 1 --tun-type gue --tun-port 5555 --tun-csum
-a -t [2001:db8::1]:80 -r [2001:db8:1::3]:80 -i -w 1 --tun-type gre --tun-csum
-A -f 7 -s wlc
-a -f 7 -r 198.51.100.1:0 -g -w 1
-a -f 7 -r 198.51.100.2:8443 -m -w 1
-A -f 7 -6 -s sh -p 10 -b sh-fallback
-A -f 4294967295 -s nq -o
`

func ipvsadm(t *testing.T, ns *testenv.Netns, stdin string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("ipvsadm")
	if err != nil {
		if testenv.Required("ipvsadm") {
			t.Fatalf("ipvsadm is required here: %v", err)
		}
		t.Skip("needs ipvsadm in PATH")
	}
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out []byte
	ns.Do(t, func() { out, err = cmd.CombinedOutput() })
	if err != nil {
		t.Fatalf("ipvsadm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func lines(s string) []string {
	var all []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	slices.Sort(all)
	return all
}

func TestIpvsadmReadsWhatWeWrite(t *testing.T) {
	h, ns := openKernel(t)
	reconcile(t, h, ipvstest.Everything(), nil)
	// ipvsadm saves no thresholds and writes marks as signed numbers.
	saved := strings.NewReplacer(" -x 1000 -y 800", "", " -x 10", "", "-f 4294967295", "-f -1").Replace(rules)
	if diff := gocmp.Diff(lines(saved), lines(ipvsadm(t, ns, "", "-S", "-n"))); diff != "" {
		t.Errorf("ipvsadm saves other rules (-want +got):\n%s", diff)
	}
	for option, want := range map[string][]string{
		"--thresholds": {"-> 198.51.100.3:8080 1000 800 0 0", "-> 198.51.100.1:3868 10 0 0 0", "-> 198.51.100.1:53 0 0 0 0"},
		// Saving calls a local destination direct.
		"--exact": {"-> 127.0.0.1:80 Local 7 0 0", "-> 198.51.100.1:80 Route 1 0 0"},
	} {
		var got []string
		for _, line := range lines(ipvsadm(t, ns, "", "-L", "-n", option)) {
			got = append(got, strings.Join(strings.Fields(line), " "))
		}
		for _, line := range want {
			if !slices.Contains(got, line) {
				t.Errorf("ipvsadm -L %s lacks %q:\n%s", option, line, strings.Join(got, "\n"))
			}
		}
	}
}

func TestWeReadWhatIpvsadmWrites(t *testing.T) {
	h, ns := openKernel(t)
	ipvsadm(t, ns, rules, "-R")
	live, err := h.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := ipvstest.Everything().Canonical()
	for _, s := range want {
		for i := range s.Dests {
			if s.Dests[i].Forward == ipvsctl.Local { // ipvsadm has no word for it
				s.Dests[i].Forward = ipvsctl.DR
			}
		}
	}
	if diff := gocmp.Diff(want, live.Table(), comparer); diff != "" {
		t.Errorf("unexpected table (-want +got):\n%s", diff)
	}
	if ops := ipvsctl.Plan(want, live, nil); len(ops) != 0 {
		t.Errorf("adopting what ipvsadm wrote takes %v, want nothing", ops)
	}
}

func TestIpvsadmsDriftIsRepairedInPlace(t *testing.T) {
	h, ns := openKernel(t)
	desired := ipvstest.Pools(3, 2)
	reconcile(t, h, desired, nil)
	for _, args := range [][]string{
		{"-e", "-t", "10.0.0.1:80", "-r", "198.51.100.1:80", "-m", "-w", "77"},
		{"-E", "-t", "10.0.0.2:80", "-s", "sh", "-p", "5", "-M", "0.0.0.0"},
		{"-a", "-t", "10.0.0.2:80", "-r", "198.51.100.9:80", "-g"},
		{"-D", "-t", "10.0.0.3:80"},
		{"-A", "-t", "203.0.113.1:80", "-s", "rr"},
	} {
		ipvsadm(t, ns, "", args...)
	}
	live, err := h.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := live.Find(desired[1].Key); s.Irregular != "persistence netmask 0.0.0.0" {
		t.Errorf("Irregular = %q, want the netmask that is no prefix of ours", s.Irregular)
	}
	result := reconcile(t, h, desired, nil)
	want := []string{
		"updating destination 198.51.100.1:80 of service tcp 10.0.0.1:80",
		"updating service tcp 10.0.0.2:80",
		"adding service tcp 10.0.0.3:80",
		"adding destination 198.51.100.1:80 to service tcp 10.0.0.3:80",
		"adding destination 198.51.100.2:80 to service tcp 10.0.0.3:80",
		"deleting destination 198.51.100.9:80 from service tcp 10.0.0.2:80",
	}
	var got []string
	for _, op := range result.Ops {
		got = append(got, op.String())
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("unexpected operations (-want +got):\n%s", diff)
	}
	if len(result.Foreign) != 1 || result.Foreign[0].String() != "tcp 203.0.113.1:80" {
		t.Errorf("foreign services = %v, want tcp 203.0.113.1:80", result.Foreign)
	}
}

func TestIpvsadmSeesTheSameCountersAndTimeouts(t *testing.T) {
	h, ns := openKernel(t)
	key := ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: addr("127.0.0.2"), Port: 8080}
	d := ipvsctl.Dest{Key: ipvsctl.DestKey{Address: key.Address, Port: 8080}, Forward: ipvsctl.Local, Weight: 1}
	reconcile(t, h, ipvsctl.Table{{Key: key, Scheduler: "wrr", Dests: []ipvsctl.Dest{d}}}, nil)
	connect := serve(t, ns, "127.0.0.2:8080")
	for range 2 {
		connect()
	}
	eventually(t, "ipvsadm and this handle to tell the same counters", func() bool {
		live, err := h.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s := live[0].Stats
		want := strings.Fields(fmt.Sprintf("TCP 127.0.0.2:8080 %d %d %d %d %d", s.Conns, s.InPackets, s.OutPackets, s.InBytes, s.OutBytes))
		got := ipvsadm(t, ns, "", "-L", "-n", "--stats", "--exact")
		return s.Conns == 2 && slices.ContainsFunc(lines(got), func(l string) bool { return slices.Equal(strings.Fields(l), want) })
	})
	ipvsadm(t, ns, "", "--set", "900", "120", "300")
	timeouts, err := h.Timeouts(t.Context())
	if err != nil || timeouts.TCP != 900*time.Second || timeouts.TCPFin != 120*time.Second || timeouts.UDP != 300*time.Second {
		t.Errorf("Timeouts = %+v, %v, want 900, 120 and 300 s", timeouts, err)
	}
}

// mobyService and mobyDest are what moby/ipvs can tell. It does not read
// persistence engines and tunnels.
type mobyService struct {
	Family, Protocol, Port uint16
	Address                string
	Mark, Flags, Timeout   uint32
	Netmask                uint32 // as moby reads it, in native byte order
	Scheduler              string
	Dests                  []mobyDest
}

type mobyDest struct {
	Address      string
	Port         uint16
	Weight       int
	Forward      uint32
	Upper, Lower uint32
}

func TestMobyReadsWhatWeWrite(t *testing.T) {
	h, ns := openKernel(t)
	reconcile(t, h, ipvstest.Everything(), nil)
	witness, err := moby.New(fmt.Sprintf("/proc/self/fd/%d", ns.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer witness.Close()
	services, err := witness.GetServices()
	if err != nil {
		t.Fatal(err)
	}
	const hashed = 0x2 // the kernel's own flag
	var got []mobyService
	for _, s := range services {
		m := mobyService{Family: s.AddressFamily, Protocol: s.Protocol, Port: s.Port, Mark: s.FWMark,
			Flags: s.Flags &^ hashed, Timeout: s.Timeout, Netmask: s.Netmask, Scheduler: s.SchedName}
		if s.FWMark == 0 {
			m.Address = s.Address.String()
		}
		dests, err := witness.GetDestinations(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range dests {
			m.Dests = append(m.Dests, mobyDest{Address: d.Address.String(), Port: d.Port, Weight: d.Weight,
				Forward: d.ConnectionFlags, Upper: d.UpperThreshold, Lower: d.LowerThreshold})
		}
		got = append(got, m)
	}
	const (
		inet, inet6     = 2, 10
		masq, local     = 0, 1
		tunnel, droute  = 2, 3
		persist, ops    = 0x1, 0x4
		sched1, sched2  = 0x8, 0x10
		host4, net24    = 0xffffffff, 0x00ffffff // little-endian
		host6, prefix64 = 128, 64
	)
	want := []mobyService{
		{Family: inet, Protocol: 6, Address: "192.0.2.1", Port: 80, Scheduler: "wrr", Netmask: host4, Dests: []mobyDest{
			{"198.51.100.1", 80, 1, droute, 0, 0}, {"198.51.100.2", 80, 0, tunnel, 0, 0},
			{"198.51.100.3", 8080, 65535, masq, 1000, 800}, {"127.0.0.1", 80, 7, local, 0, 0},
		}},
		{Family: inet, Protocol: 6, Address: "192.0.2.1", Port: 443, Scheduler: "sh", Netmask: net24, Timeout: 300, Flags: persist | sched1 | sched2},
		{Family: inet, Protocol: 6, Address: "192.0.2.2", Scheduler: "wlc", Netmask: host4, Timeout: 3600, Flags: persist,
			Dests: []mobyDest{{"198.51.100.1", 0, 1, droute, 0, 0}}},
		{Family: inet, Protocol: 17, Address: "192.0.2.1", Port: 53, Scheduler: "rr", Netmask: host4, Flags: ops,
			Dests: []mobyDest{{"198.51.100.1", 53, 3, masq, 0, 0}}},
		{Family: inet, Protocol: 17, Address: "192.0.2.1", Port: 5060, Scheduler: "rr", Netmask: host4, Timeout: 60, Flags: persist},
		{Family: inet, Protocol: 132, Address: "192.0.2.1", Port: 3868, Scheduler: "lc", Netmask: host4,
			Dests: []mobyDest{{"198.51.100.1", 3868, 1, masq, 10, 0}}},
		{Family: inet6, Protocol: 6, Address: "2001:db8::1", Port: 80, Scheduler: "mh", Netmask: prefix64, Timeout: 30, Flags: persist | sched2, Dests: []mobyDest{
			{"2001:db8:1::1", 80, 1, droute, 0, 0}, {"198.51.100.4", 80, 1, tunnel, 0, 0},
			{"2001:db8:1::2", 80, 1, tunnel, 0, 0}, {"2001:db8:1::3", 80, 1, tunnel, 0, 0},
		}},
		{Family: inet, Mark: 7, Scheduler: "wlc", Netmask: host4, Dests: []mobyDest{
			{"198.51.100.1", 0, 1, droute, 0, 0}, {"198.51.100.2", 8443, 1, masq, 0, 0}}},
		{Family: inet6, Mark: 7, Scheduler: "sh", Netmask: host6, Timeout: 10, Flags: persist | sched1},
		{Family: inet, Mark: 1<<32 - 1, Scheduler: "nq", Netmask: host4, Flags: ops},
	}
	for _, list := range [][]mobyService{want, got} {
		slices.SortFunc(list, func(a, b mobyService) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		for _, s := range list {
			slices.SortFunc(s.Dests, func(a, b mobyDest) int {
				return cmp.Or(strings.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
			})
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("moby reads something else (-want +got):\n%s", diff)
	}
}
