package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// patience bounds every wait of a test.
const patience = 30 * time.Second

// machine is a network namespace with a link that has an address, and a folder
// for a run directory.
type machine struct {
	t      *testing.T
	ns     *testenv.Netns
	config string
	runDir string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, ns: testenv.NewNetns(t), config: write(t, strings.Replace(router, `"lo"`, `"lan"`, 1)+"interval = \"100ms\"\n")}
	m.runDir = filepath.Join(t.TempDir(), "run")
	m.ns.Do(t, func() {
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "lan"}, PeerName: "peer"}
		if err := netlink.LinkAdd(pair); err != nil {
			t.Error(err)
			return
		}
		for _, name := range []string{"lan", "peer"} {
			link, err := netlink.LinkByName(name)
			if err == nil {
				err = netlink.LinkSetUp(link)
			}
			if err != nil {
				t.Error(err)
			}
		}
		link, err := netlink.LinkByName("lan")
		if err == nil {
			err = netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(24, 32)}})
		}
		if err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return m
}

// addresses reads the IPv4 addresses of the link.
func (m *machine) addresses() []string {
	m.t.Helper()
	var all []string
	m.ns.Do(m.t, func() {
		link, err := netlink.LinkByName("lan")
		if err != nil {
			m.t.Error(err)
			return
		}
		list, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			m.t.Error(err)
		}
		for _, a := range list {
			all = append(all, a.IPNet.String())
		}
	})
	return all
}

// sysctls reads what a director may change.
func (m *machine) sysctls() string {
	m.t.Helper()
	var all strings.Builder
	m.ns.Do(m.t, func() {
		for _, name := range []string{"arp_ignore", "arp_announce", "arp_filter", "rp_filter", "forwarding", "send_redirects"} {
			for _, where := range []string{"all", "lan"} {
				path := "net/ipv4/conf/" + where + "/" + name
				value, err := netif.ReadSysctl(path)
				if err != nil {
					m.t.Error(err)
				}
				all.WriteString(path + "=" + value + "\n")
			}
		}
	})
	return all.String()
}

// start starts haldir as a process in the namespace.
func (m *machine) start(sys *syscall.SysProcAttr, args ...string) (*exec.Cmd, *bytes.Buffer) {
	m.t.Helper()
	cmd, output := m.command(sys, args...)
	var err error
	m.ns.Do(m.t, func() { err = cmd.Start() })
	if err != nil {
		m.t.Fatal(err)
	}
	return cmd, output
}

// command is haldir as a process that is to be started in the namespace.
func (m *machine) command(sys *syscall.SysProcAttr, args ...string) (*exec.Cmd, *bytes.Buffer) {
	var output bytes.Buffer
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), actVariable+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = sys
	// A daemon that is killed leaves processes that keep its output open.
	cmd.WaitDelay = patience
	return cmd, &output
}

// run runs haldir to its end.
func (m *machine) run(sys *syscall.SysProcAttr, args ...string) (status int, output string) {
	m.t.Helper()
	cmd, text := m.start(sys, args...)
	bound := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer bound.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), text.String()
}

func (m *machine) runArgs(config string) []string {
	return []string{"run", "-c", config, "--node", "lvs1", "--state-dir", filepath.Join(m.runDir, "state"), "--run-dir", m.runDir}
}

// master waits until the daemon says that it is master with the address, and
// otherwise is as wanted.
func (m *machine) master(want func(control.Status) bool) control.Status {
	m.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	var last control.Status
	var err error
	for {
		last, err = control.NewClient(filepath.Join(m.runDir, control.SocketName)).Status(ctx)
		if err == nil && len(last.Routers) == 1 && last.Routers[0].State == "master" && want(last) &&
			slices.Contains(m.addresses(), "192.0.2.100/24") {
			return last
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			m.t.Fatalf("haldir does not become as wanted: %v, %+v", err, last)
		}
	}
}

func whatever(control.Status) bool { return true }

func pids(s control.Status) map[string]int {
	all := make(map[string]int)
	for _, p := range s.Processes {
		all[p.Role] = p.PID
	}
	return all
}

func TestRunRefusesBeforeItTouchesAnything(t *testing.T) {
	m := newMachine(t)
	text, err := os.ReadFile(m.config)
	if err != nil {
		t.Fatal(err)
	}
	with := func(old, new string) string { return write(t, strings.ReplaceAll(string(text), old, new)) }
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	readable, err := os.CreateTemp("", "haldir-*.toml") // the test's own folder is for root
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(readable.Name()) })
	if err := errors.Join(os.WriteFile(readable.Name(), text, 0o644), readable.Chmod(0o644), readable.Close()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		config string
		sys    *syscall.SysProcAttr
		want   []string
	}{
		{"missing interface", with(`"lan"`, `"eth9"`), nil, []string{`this host has no interface "eth9"`, "lan", "haldir: 1 error in the configuration"}},
		{"VRID twice", write(t, string(text)+strings.NewReplacer("edge", "other", ".100/", ".101/").Replace(string(text))), nil, []string{"another [[vrrp]] block uses this router_id"}},
		{"address twice", write(t, string(text)+strings.NewReplacer("edge", "other", "51", "52").Replace(string(text))), nil, []string{"192.0.2.100"}},
		{"service on an address that nobody holds", write(t, string(text)+strings.ReplaceAll(service, ".100:80", ".200:80")), nil, []string{"192.0.2.200"}},
		{"no privilege", readable.Name(), nobody, []string{"not enough privilege: CAP_NET_ADMIN and CAP_NET_RAW missing"}},
		{"run directory that is a file", m.config, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			addresses, sysctls := m.addresses(), m.sysctls()
			args := m.runArgs(test.config)
			if test.want == nil {
				args[len(args)-1] = m.config
				test.want = []string{"not a directory"}
			}
			status, output := m.run(test.sys, args...)
			if status != exitUsage {
				t.Errorf("exit status %d, want %d", status, exitUsage)
			}
			for _, part := range test.want {
				if !strings.Contains(output, part) {
					t.Errorf("it says %q, which lacks %q", output, part)
				}
			}
			if strings.Contains(output, "panic") || strings.Contains(output, "level=") {
				t.Errorf("it says %q, want a message alone", output)
			}
			if got := m.addresses(); !slices.Equal(got, addresses) {
				t.Errorf("the addresses are %v, were %v", got, addresses)
			}
			if got := m.sysctls(); got != sysctls {
				t.Errorf("kernel parameters are\n%swere\n%s", got, sysctls)
			}
			if _, err := os.Stat(m.runDir); err == nil {
				t.Error("the run directory was made")
			}
		})
	}
}

func TestRunNeedsIPVSForServicesOnly(t *testing.T) {
	if _, err := os.Stat("/proc/net/ip_vs"); err == nil {
		t.Skip("this kernel has ip_vs")
	}
	m := newMachine(t)
	text, err := os.ReadFile(m.config)
	if err != nil {
		t.Fatal(err)
	}
	status, output := m.run(nil, m.runArgs(write(t, string(text)+service))...)
	if status != exitUsage || !strings.Contains(output, "haldir: the configuration has 1 service: ipvs is not available in this kernel") || !strings.Contains(output, "modprobe ip_vs") {
		t.Errorf("exit status %d, %q; want %d and what to do", status, output, exitUsage)
	}
}

func TestLifeOfADaemon(t *testing.T) {
	m := newMachine(t)
	sysctls := m.sysctls()
	cmd, output := m.start(nil, m.runArgs(m.config)...)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	first := m.master(whatever)
	if got := pids(first)["supervisor"]; got != cmd.Process.Pid {
		t.Errorf("the supervisor is told to be %d, want %d", got, cmd.Process.Pid)
	}

	status, text := m.run(nil, m.runArgs(m.config)...)
	if status != exitUsage || !strings.Contains(text, "haldir runs already: it answers at ") {
		t.Errorf("a second run: exit status %d, %q", status, text)
	}
	status, text = m.run(nil, "cleanup", "--run-dir", m.runDir, "--socket", filepath.Join(m.runDir, "another.sock"))
	if status != exitDone || !strings.Contains(text, "haldir runs: nothing to clean up") {
		t.Errorf("cleanup beside a daemon that does not answer: exit status %d, %q", status, text)
	}

	for _, role := range []string{"speaker", "director", "checker"} {
		before := pids(m.master(whatever))[role]
		if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(m.addresses(), "192.0.2.100/24") {
			t.Errorf("the address went with the %s", role)
		}
		m.master(func(s control.Status) bool { return pids(s)[role] != before && pids(s)[role] != 0 })
	}
	if s := m.master(whatever); !s.Routers[0].Since.Equal(first.Routers[0].Since) {
		t.Errorf("master since %v, before the kills since %v: the role has changed", s.Routers[0].Since, first.Routers[0].Since)
	}

	// Asking again, and once more by Ctrl-C, makes the hand-over no shorter.
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGTERM, os.Interrupt} {
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("after SIGTERM haldir ended with %v: %s", err, output)
		}
	case <-time.After(patience):
		t.Fatal("SIGTERM does not end it")
	}
	if got := m.addresses(); !slices.Equal(got, []string{"192.0.2.1/24"}) {
		t.Errorf("after the end the addresses are %v", got)
	}
	if got := m.sysctls(); got != sysctls {
		t.Errorf("after the end kernel parameters are\n%swere\n%s", got, sysctls)
	}
}

// killAll kills the processes of a node at one moment: stopped first, none of them
// notices the death of another.
func killAll(t *testing.T, processes map[string]int) {
	t.Helper()
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, role := range []string{"supervisor", "speaker", "director", "checker"} {
			if err := syscall.Kill(processes[role], signal); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestCleanupAfterTheDeathOfAll(t *testing.T) {
	m := newMachine(t)
	sysctls := m.sysctls()
	cmd, _ := m.start(nil, m.runArgs(m.config)...)
	processes := pids(m.master(whatever))
	killAll(t, processes)
	_ = cmd.Wait()
	if !slices.Contains(m.addresses(), "192.0.2.100/24") {
		t.Fatal("a kill took the address away: this test shows nothing")
	}
	status, output := m.run(nil, "cleanup", "--run-dir", m.runDir)
	if status != exitDone || !strings.Contains(output, "resigned for a node that died") {
		t.Errorf("cleanup: exit status %d, %q", status, output)
	}
	if got := m.addresses(); !slices.Equal(got, []string{"192.0.2.1/24"}) {
		t.Errorf("after the cleanup the addresses are %v", got)
	}
	if got := m.sysctls(); got != sysctls {
		t.Errorf("after the cleanup kernel parameters are\n%swere\n%s", got, sysctls)
	}
}
