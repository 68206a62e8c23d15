package vrrpsock_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/vrrp"
)

// frrPath is where Debian's package has the daemons.
const frrPath = "/usr/lib/frr"

// needFRR skips the test where FRR is not installed, or fails it where it is
// required.
func needFRR(tb testing.TB) {
	tb.Helper()
	for _, name := range []string{"zebra", "vrrpd"} {
		if _, err := os.Stat(filepath.Join(frrPath, name)); err != nil {
			if testenv.Required("frr") {
				tb.Fatalf("frr is required here: %v", err)
			}
			tb.Skipf("needs frr: %v", err)
		}
	}
}

// frr is a running vrrpd with the zebra that tells it about interfaces.
type frr struct {
	*host
	dir     string
	mu      sync.Mutex // guards log
	log     bytes.Buffer
	daemons []*exec.Cmd // vrrpd is the last
	ended   []chan struct{}
}

func (f *frr) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.Write(b)
}

// frr starts the daemons as the peer of a haldir that is configured as cfg says.
func (h *host) frr(cfg vrrp.RouterConfig, priority uint8) *frr {
	h.Helper()
	f := &frr{host: h, dir: frrDir(h.TB)}
	f.macvlan(cfg)
	f.start("zebra", "")
	eventually(h.TB, "zebra", func() bool {
		_, err := os.Stat(filepath.Join(f.dir, "zserv"))
		return err == nil
	})
	version, keyword := 3, "ip"
	if cfg.Version == 2 {
		version = 2
	}
	if cfg.Family() == vrrp.IPv6 {
		keyword = "ipv6"
	}
	text := "interface eth0\n"
	line := func(format string, args ...any) {
		text += fmt.Sprintf(" vrrp %d ", cfg.VRID) + fmt.Sprintf(format, args...) + "\n"
	}
	line("version %d", version)
	line("priority %d", priority)
	line("advertisement-interval %d", cfg.Interval.Milliseconds())
	for _, a := range cfg.Addresses {
		line("%s %v", keyword, a)
	}
	f.start("vrrpd", text)
	h.Cleanup(func() {
		for i := len(f.daemons) - 1; i >= 0; i-- {
			f.signal(i, syscall.SIGKILL)
		}
		if h.Failed() {
			f.mu.Lock()
			defer f.mu.Unlock()
			h.Logf("the log of zebra and vrrpd:\n%s", f.log.String())
		}
	})
	return f
}

// frrDir makes a directory for the user that FRR insists on, who cannot enter those
// of the tests.
func frrDir(tb testing.TB) string {
	tb.Helper()
	who, err := user.Lookup("frr")
	if err != nil {
		tb.Fatal(err)
	}
	uid, err := strconv.Atoi(who.Uid)
	if err != nil {
		tb.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "frr")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, uid, -1); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// macvlan makes the interface that vrrpd looks for by its MAC address, which is
// the virtual router's, and its addresses.
func (f *frr) macvlan(cfg vrrp.RouterConfig) {
	f.Helper()
	family := byte(1)
	if cfg.Family() == vrrp.IPv6 {
		family = 2
	}
	f.do(func(eth0 netlink.Link) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex = "vrrp", eth0.Attrs().Index
		attrs.HardwareAddr = net.HardwareAddr{0, 0, 0x5e, 0, family, cfg.VRID}
		link := &netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE}
		f.must(netlink.LinkAdd(link))
		f.must(os.WriteFile("/proc/sys/net/ipv6/conf/vrrp/addr_gen_mode", []byte("1"), 0))
		for _, a := range cfg.Addresses {
			f.must(netlink.AddrAdd(link, f.address(a)))
		}
		f.must(netlink.LinkSetUp(link))
	})
}

func (f *frr) start(name, conf string) {
	f.Helper()
	path := filepath.Join(f.dir, name+".conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		f.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(frrPath, name), "-f", path, "-P", "0",
		"-i", filepath.Join(f.dir, name+".pid"), "-z", filepath.Join(f.dir, "zserv"), "--vty_socket", f.dir, "--log", "stdout")
	cmd.Stdout, cmd.Stderr = f, f
	var err error
	f.ns.Do(f.TB, func() { err = cmd.Start() })
	if err != nil {
		f.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it ends by a signal
		close(ended)
	}()
	f.daemons, f.ended = append(f.daemons, cmd), append(f.ended, ended)
}

func (f *frr) signal(i int, signal syscall.Signal) {
	f.Helper()
	_ = f.daemons[i].Process.Signal(signal) // it may have ended
	select {
	case <-f.ended[i]:
	case <-time.After(10 * time.Second):
		f.Error("a daemon of FRR does not end")
	}
}

// kill ends vrrpd without a word.
func (f *frr) kill() { f.signal(len(f.daemons)-1, syscall.SIGKILL) }

func frrModes() []mode {
	second := config(0, time.Second)
	second.Version = 2
	six := config(0, interopInterval)
	six.Addresses = []netip.Addr{local6, vip6}
	return []mode{
		{"version 3 over IPv4", alpha, beta, config(0, interopInterval)},
		{"version 3 over IPv6", alpha6, beta6, six},
		{"version 2", alpha, beta, second},
	}
}

// FRR as master: it is elected, and crashes.
func TestInteroperabilityFRRAsMaster(t *testing.T) {
	needFRR(t)
	t.Parallel()
	for _, m := range frrModes() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel() // they wait for timers
			s := newSegment(t)
			a, b := s.host("a", m.alpha), s.host("b", m.beta)
			f := a.frr(m.cfg, 200)
			d := b.direct(m.of(100))
			eventually(t, "FRR to be master", func() bool {
				got := d.status()
				return got.State == vrrp.Backup && got.Heard != nil && got.Heard.Age < 2*m.cfg.Interval && got.Received > 4
			})
			got := d.status()
			if got.Heard.Priority != 200 || got.Heard.Interval != m.cfg.Interval || got.Heard.Checksum != m.checksum() || len(got.Dropped) != 0 || got.Problem != "" {
				t.Errorf("status = %+v, heard %+v, want a backup that heard nothing wrong", got, got.Heard)
			}
			if m.alpha.Is4() && got.Master != m.alpha {
				t.Errorf("master = %v, want %v", got.Master, m.alpha)
			}
			f.kill()
			d.await(vrrp.Master, vrrp.ReasonMasterDown)
		})
	}
}

// haldir as master: FRR is a silent backup, takes over when haldir hands over, and
// yields when it comes back.
func TestInteroperabilityFRRAsBackup(t *testing.T) {
	needFRR(t)
	t.Parallel()
	for _, m := range frrModes() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel() // they wait for timers
			s := newSegment(t)
			a, b := s.host("a", m.alpha), s.host("b", m.beta)
			d := a.direct(m.of(200))
			d.await(vrrp.Master, vrrp.ReasonMasterDown)
			b.frr(m.cfg, 100)
			silent := func() {
				t.Helper()
				first := d.status().Sent
				eventually(t, "an advert that ends what there was", func() bool { return d.status().Sent > first })
				before := d.status()
				eventually(t, "six adverts", func() bool { return d.status().Sent > before.Sent+5 })
				if got := d.status(); got.State != vrrp.Master || got.Received != before.Received || len(got.Dropped) != 0 {
					t.Errorf("status = %+v, want a master that heard nothing of a backup", got)
				}
			}
			silent()
			d.shutdown()
			d.await(vrrp.Init, vrrp.ReasonSuccessor)
			d.stop()

			d = a.direct(m.of(200))
			d.await(vrrp.Backup, vrrp.ReasonStart)
			d.await(vrrp.Master, vrrp.ReasonMasterDown)
			silent()
		})
	}
}
