package main

import (
	"bytes"
	"encoding/json"
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

	"github.com/haldir-lb/haldir/internal/netif"
)

// server is a machine whose address a service lists.
type server struct {
	*machine
	notes chan string // what systemd would be told
	cmd   *exec.Cmd
	text  *bytes.Buffer
	ended chan error
}

const serverService = `
[[service]]
name = "web"
listen = ["192.0.2.100:80"]
[[service.real]]
address = "192.0.2.1"
`

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{machine: newMachine(t), notes: make(chan string, 100)}
	s.configure(serverService)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "30000000")
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			s.notes <- string(buffer[:n])
		}
	}()
	return s
}

func (s *server) configure(services string) {
	s.t.Helper()
	next := s.config + ".next"
	if err := os.WriteFile(next, []byte(strings.Replace(router, `"lo"`, `"lan"`, 1)+services), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(next, s.config); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) keep(args ...string) {
	s.t.Helper()
	s.cmd, s.text = s.start(nil, append([]string{"realserver", "run", "-c", s.config, "--run-dir", s.runDir}, args...)...)
	cmd := s.cmd
	s.ended = make(chan error, 1)
	go func() { s.ended <- cmd.Wait() }()
	s.t.Cleanup(func() { _ = cmd.Process.Kill() })
	s.told("READY=1")
}

// told waits until systemd is told.
func (s *server) told(want string) {
	s.t.Helper()
	bound := time.After(patience)
	for {
		select {
		case note := <-s.notes:
			if strings.Contains(note, want) {
				return
			}
		case err := <-s.ended:
			s.t.Fatalf("it ended before it said %q: %v", want, err)
		case <-bound:
			s.t.Fatalf("it does not say %q", want)
		}
	}
}

// realserver runs one of the other commands.
func (s *server) realserver(args ...string) (status int, output string) {
	s.t.Helper()
	args = append([]string{"realserver"}, args...)
	if args[1] != "remove" {
		args = append(args, "-c", s.config)
	}
	return s.run(nil, append(args, "--run-dir", s.runDir)...)
}

// vips reads the addresses on lo but 127.0.0.1.
func (s *server) vips() []string {
	s.t.Helper()
	all := []string{}
	s.ns.Do(s.t, func() {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			s.t.Error(err)
			return
		}
		list, err := netlink.AddrList(lo, netlink.FAMILY_V4)
		if err != nil {
			s.t.Error(err)
		}
		for _, a := range list {
			if text := a.IPNet.String(); text != "127.0.0.1/8" {
				all = append(all, text)
			}
		}
	})
	return all
}

func (s *server) await(what string, ok func() bool) {
	s.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	bound := time.After(patience)
	for !ok() {
		select {
		case <-ticker.C:
		case <-bound:
			s.t.Fatalf("not in time: %s; it says %s", what, s.text)
		}
	}
}

func (s *server) awaitVIPs(want ...string) {
	s.t.Helper()
	s.await("VIPs "+strings.Join(want, ", "), func() bool { return slices.Equal(s.vips(), want) })
}

func (s *server) end() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Errorf("after SIGTERM it ended with %v: %s", err, s.text)
		}
	case <-time.After(patience):
		s.t.Fatal("SIGTERM does not end it")
	}
}

func (s *server) status() serverStatus {
	s.t.Helper()
	_, output := s.realserver("status", "--json")
	var status serverStatus
	if err := json.Unmarshal([]byte(output), &status); err != nil {
		s.t.Fatalf("%v: %s", err, output)
	}
	return status
}

func TestLifeOfAKeeper(t *testing.T) {
	s := newServer(t)
	sysctls := s.sysctls()
	s.keep()
	if got := s.vips(); !slices.Equal(got, []string{"192.0.2.100/32"}) {
		t.Errorf("when it is ready the VIPs are %v", got)
	}

	// Somebody takes the address away, and sets the host free to answer for it.
	s.ns.Do(t, func() {
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.AddrDel(lo, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 100), Mask: net.CIDRMask(32, 32)}})
		}
		if err != nil {
			t.Error(err)
		}
	})
	s.awaitVIPs("192.0.2.100/32")
	// The address is there before the repair has ended.
	s.await("a repair in the status", func() bool { k := s.status().Keeper; return k != nil && k.Repairs == 1 })
	s.ns.Do(t, func() {
		if err := netif.WriteSysctl("net/ipv4/conf/lan/arp_ignore", "0"); err != nil {
			t.Error(err)
		}
	})
	s.await("arp_ignore to be back", func() bool { return strings.Contains(s.sysctls(), "conf/lan/arp_ignore=1\n") })
	s.await("two repairs in the status", func() bool {
		status := s.status()
		return status.Keeper != nil && status.Keeper.Repairs == 2 && status.Running != nil && *status.Running &&
			status.Keeper.PID == s.cmd.Process.Pid && status.Connections != nil && len(status.Problems) == 0
	})
	if status, output := s.realserver("status"); status != exitDone || !strings.Contains(output, "repaired 2 times, last ") ||
		!strings.Contains(output, "address 192.0.2.100/32 on lo = present, set by haldir") {
		t.Errorf("status: %d, %s", status, output)
	}

	for _, command := range []string{"apply", "remove"} {
		if status, output := s.realserver(command); status != exitUsage || !strings.Contains(output, "haldir realserver run keeps this host as it is") {
			t.Errorf("%s beside the keeper: exit status %d, %q", command, status, output)
		}
	}

	s.configure(strings.Replace(serverService, "192.0.2.100:80", "192.0.2.200:80", 1))
	s.told("refused")
	if status, output := s.realserver("status"); status != exitUsage || !strings.Contains(output, "no [[vrrp]] block holds 192.0.2.200") {
		t.Errorf("status under a configuration that is refused: %d, %s", status, output)
	}
	if got := s.vips(); !slices.Equal(got, []string{"192.0.2.100/32"}) {
		t.Errorf("under a configuration that is refused the VIPs are %v", got)
	}
	s.configure(strings.Replace(serverService, "192.0.2.1\"", "192.0.2.7\"", 1))
	s.told("no service lists an address of this host")
	s.awaitVIPs()
	s.configure(serverService)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.told("RELOADING=1\nMONOTONIC_USEC=")
	s.told("READY=1")
	s.told("WATCHDOG=1")
	s.awaitVIPs("192.0.2.100/32")

	// A crash leaves the host as it is, and says so; the next run goes on.
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	s.awaitVIPs("192.0.2.100/32")
	if got := s.status(); len(got.Problems) != 1 || !strings.Contains(got.Problems[0], "has ended without undoing anything") {
		t.Errorf("status after a crash: %+v", got)
	}
	s.keep("--leave")
	s.end()
	s.awaitVIPs("192.0.2.100/32")
	s.keep()
	s.end()
	s.awaitVIPs()
	if got := s.sysctls(); got != sysctls {
		t.Errorf("after the end kernel parameters are\n%swere\n%s", got, sysctls)
	}
}

// A connection at the VIP is waited for when the keeper is told to drain.
func TestAKeeperDrains(t *testing.T) {
	s := newServer(t)
	s.keep("--drain", "5m")
	var listener net.Listener
	var client net.Conn
	var err error
	s.ns.Do(t, func() {
		if listener, err = net.Listen("tcp", "192.0.2.100:80"); err == nil {
			client, err = net.Dial("tcp", "192.0.2.100:80")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = accepted.Close() }()
	if got := s.status(); got.Connections == nil || *got.Connections != 1 {
		t.Errorf("status: %+v, want one connection", got)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.told("STOPPING=1\nEXTEND_TIMEOUT_USEC=330000000")
	s.told("draining: 1 connections")
	if got := s.vips(); !slices.Equal(got, []string{"192.0.2.100/32"}) {
		t.Errorf("while a connection is open the VIPs are %v", got)
	}
	_ = accepted.Close()
	_ = client.Close()
	select {
	case err := <-s.ended:
		if err != nil {
			t.Errorf("it ended with %v: %s", err, s.text)
		}
	case <-time.After(patience):
		t.Fatalf("it does not end when the connection has: %s", s.text)
	}
	s.awaitVIPs()
}
