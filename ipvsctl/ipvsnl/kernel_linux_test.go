package ipvsnl_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // a witness logs through it
	os.Exit(testenv.Main(m))
}

var comparer = cmp.Options{cmpopts.EquateComparable(ipvsctl.ServiceKey{}, ipvsctl.DestKey{}), cmpopts.EquateEmpty()}

// openKernel returns the table of a new network namespace.
func openKernel(t testing.TB) (*ipvsnl.Handle, *testenv.Netns) {
	t.Helper()
	testenv.IPVS(t)
	ns := testenv.NewNetns(t)
	h, err := ipvsnl.OpenNetNS(ns.Fd())
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() {
		_ = h.Close()
		clearTable(t, ns)
	})
	return h, ns
}

// clearTable deletes what a test left: as long as a service exists anywhere,
// ip_vs cannot be unloaded, and a namespace may outlive its test.
func clearTable(t testing.TB, ns *testenv.Netns) {
	t.Helper()
	h, err := ipvsnl.OpenNetNS(ns.Fd())
	if err != nil {
		t.Errorf("opening: %v", err)
		return
	}
	all := func(ipvsctl.ServiceKey) bool { return true }
	_, err = ipvsctl.NewReconciler(h).Reconcile(context.Background(), nil, all)
	if err := errors.Join(err, h.Close()); err != nil {
		t.Errorf("clearing the table: %v", err)
	}
}

func reconcile(t testing.TB, h *ipvsnl.Handle, desired ipvsctl.Table, owned func(ipvsctl.ServiceKey) bool) ipvsctl.Result {
	t.Helper()
	result, err := ipvsctl.NewReconciler(h).Reconcile(t.Context(), desired, owned)
	if err := errors.Join(err, result.Err()); err != nil {
		t.Fatalf("reconciling: %v", err)
	}
	return result
}

// eventually polls until cond holds: the kernel sums its counters up every two
// seconds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s for %s", what)
		}
		<-tick.C
	}
}

func TestHandleKeepsTheContractOnTheKernel(t *testing.T) {
	testenv.IPVS(t)
	ipvstest.Contract(t, func(t *testing.T) ipvsctl.Handle {
		h, _ := openKernel(t)
		return h
	})
}

func TestOpenWithoutIPVS(t *testing.T) {
	if _, err := os.Stat("/proc/net/ip_vs"); err == nil {
		t.Skip("this kernel has ip_vs")
	}
	h, err := ipvsnl.Open()
	if err == nil {
		_ = h.Close()
		t.Skip("opening made this kernel load ip_vs")
	}
	if !errors.Is(err, ipvsctl.ErrUnavailable) || !strings.Contains(err.Error(), "modprobe ip_vs") {
		t.Errorf("Open = %v, want %v and the remedy", err, ipvsctl.ErrUnavailable)
	}
}

func TestInfo(t *testing.T) {
	h, _ := openKernel(t)
	info, err := h.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	proc, err := os.ReadFile("/proc/net/ip_vs")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("IP Virtual Server version %s (size=%d)\n", info.Version, info.ConnTableSize); !strings.HasPrefix(string(proc), want) {
		t.Errorf("Info = %+v, but /proc/net/ip_vs starts with %.60q", info, proc)
	}
}

func TestTimeouts(t *testing.T) {
	h, _ := openKernel(t)
	before, err := h.Timeouts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.SetTimeouts(t.Context(), ipvsctl.Timeouts{TCP: 77 * time.Second, UDP: 33 * time.Second}); err != nil {
		t.Fatal(err)
	}
	want := ipvsctl.Timeouts{TCP: 77 * time.Second, TCPFin: before.TCPFin, UDP: 33 * time.Second}
	if got, err := h.Timeouts(t.Context()); err != nil || got != want {
		t.Errorf("Timeouts = %+v, %v, want %+v", got, err, want)
	}
	if err := h.SetTimeouts(t.Context(), ipvsctl.Timeouts{TCP: 1500 * time.Millisecond}); !errors.Is(err, ipvsctl.ErrRange) {
		t.Errorf("SetTimeouts of half seconds = %v, want %v", err, ipvsctl.ErrRange)
	}
}

func TestCountersOfAnAdoptedServiceGoOn(t *testing.T) {
	h, ns := openKernel(t)
	key := ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: addr("127.0.0.2"), Port: 8080}
	here := ipvsctl.Dest{Key: ipvsctl.DestKey{Address: addr("127.0.0.2"), Port: 8080}, Forward: ipvsctl.Local, Weight: 1}
	standby := ipvsctl.Dest{Key: ipvsctl.DestKey{Address: addr("127.0.0.3"), Port: 8080}, Forward: ipvsctl.Local, Weight: 0}
	reconcile(t, h, ipvsctl.Table{{Key: key, Scheduler: "wrr", Dests: []ipvsctl.Dest{here}}}, nil)

	connect := serve(t, ns, "127.0.0.2:8080")
	for range 3 {
		connect()
	}
	read := func() (ipvsctl.LiveService, ipvsctl.LiveDest) {
		live, err := h.Read(t.Context())
		if err != nil || len(live) != 1 {
			t.Fatalf("Read = %v, %v", live, err)
		}
		i := slices.IndexFunc(live[0].Dests, func(d ipvsctl.LiveDest) bool { return d.Key == here.Key })
		return live[0], live[0].Dests[i]
	}
	eventually(t, "3 connections in the counters", func() bool {
		s, d := read()
		return s.Stats.Conns == 3 && d.Stats.Conns == 3 && d.ActiveConns == 3 && d.Stats.InPackets > 0
	})

	// Zeroing is for counters, and for those of one service.
	other := ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: addr("127.0.0.9"), Port: 1}
	if err := h.Zero(t.Context(), other); !errors.Is(err, ipvsctl.ErrNoService) {
		t.Errorf("zeroing a service that is not there = %v, want %v", err, ipvsctl.ErrNoService)
	}

	// Another reconciler, as after a restart, with everything changed that can be.
	here.Weight, here.Upper = 9, 100
	result := reconcile(t, h, ipvsctl.Table{{Key: key, Scheduler: "mh", Persistence: time.Minute,
		Dests: []ipvsctl.Dest{here, standby}}}, func(ipvsctl.ServiceKey) bool { return true })
	want := []ipvsctl.OpKind{ipvsctl.UpdateService, ipvsctl.AddDest, ipvsctl.UpdateDest}
	var got []ipvsctl.OpKind
	for _, op := range result.Ops {
		got = append(got, op.Kind)
	}
	if !slices.Equal(got, want) {
		t.Errorf("operations = %v, want %v", got, want)
	}
	if s, d := read(); s.Stats.Conns != 3 || d.Stats.Conns != 3 || d.ActiveConns != 3 || d.Weight != 9 {
		t.Errorf("after the changes: service %+v, destination %+v, want 3 connections in both and the new weight", s.Stats, d)
	}
	connect()
	eventually(t, "the fourth connection in the counters", func() bool {
		s, d := read()
		return s.Stats.Conns == 4 && d.Stats.Conns == 4 && d.ActiveConns == 4 && d.PersistentConns == 1
	})
	if err := h.Zero(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if s, d := read(); s.Stats.Conns != 0 || d.Stats.Conns != 0 || d.ActiveConns != 4 {
		t.Errorf("zeroed: service %+v, destination %+v, want counters of 0 and 4 connections", s.Stats, d)
	}
}

// serve accepts connections in the namespace until the test ends. The function
// it returns opens one that stays open.
func serve(t *testing.T, ns *testenv.Netns, address string) (connect func()) {
	t.Helper()
	var listener net.Listener
	var err error
	ns.Do(t, func() { listener, err = net.Listen("tcp", address) })
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 16)
	go func() {
		defer close(accepted)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		for c := range accepted {
			_ = c.Close()
		}
	})
	return func() {
		t.Helper()
		var c net.Conn
		var err error
		ns.Do(t, func() { c, err = net.DialTimeout("tcp", address, 20*time.Second) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
}

// TestTheModuleIsLoadedAgain unloads ip_vs, so it runs only where the kernel is
// the tests' own.
func TestTheModuleIsLoadedAgain(t *testing.T) {
	if !testenv.Required("ipvs") {
		t.Skip("unloads ip_vs: runs only where HALDIR_TEST_REQUIRE lists ipvs")
	}
	h, _ := openKernel(t)
	reconcile(t, h, ipvstest.Pools(2, 2), nil)
	reconcile(t, h, nil, func(ipvsctl.ServiceKey) bool { return true })
	eventually(t, "ip_vs to be unloaded", func() bool { return unload(t) })
	// Reading makes the kernel load it again, and the family has a new number.
	if live, err := h.Read(t.Context()); err != nil || len(live) != 0 {
		t.Fatalf("Read = %v, %v, want an empty table", live, err)
	}
	reconcile(t, h, ipvstest.Pools(2, 2), nil)
}

// unload removes ip_vs and what depends on it, and reports whether it is gone.
func unload(t *testing.T) bool {
	t.Helper()
	loaded := func() (modules []string) {
		b, err := os.ReadFile("/proc/modules")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if name, _, _ := strings.Cut(line, " "); strings.HasPrefix(name, "ip_vs") {
				modules = append(modules, name)
			}
		}
		return modules
	}
	for _, name := range loaded() {
		_ = unix.DeleteModule(name, unix.O_NONBLOCK)
	}
	return len(loaded()) == 0
}

func TestAnotherNamespaceIsAnotherTable(t *testing.T) {
	one, _ := openKernel(t)
	two, _ := openKernel(t)
	reconcile(t, one, ipvstest.Pools(2, 1), nil)
	reconcile(t, two, ipvstest.Pools(5, 1), nil)
	for h, want := range map[*ipvsnl.Handle]int{one: 2, two: 5} {
		if live, err := h.Read(context.Background()); err != nil || len(live) != want {
			t.Errorf("Read = %d services, %v, want %d", len(live), err, want)
		}
	}
}

func TestCloseLeavesNoDescriptor(t *testing.T) {
	testenv.IPVS(t)
	before := openDescriptors(t)
	h, _ := openKernel(t)
	if _, err := h.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if left := openDescriptors(t); left > before+1 { // the namespace's own
		t.Errorf("%d descriptors after closing the handle, %d before", left, before)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	list, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
