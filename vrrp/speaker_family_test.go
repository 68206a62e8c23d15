package vrrp_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
)

var (
	alpha6 = netip.MustParseAddr("fe80::1")
	beta6  = netip.MustParseAddr("fe80::2")
	local6 = netip.MustParseAddr("fe80::100")
	vip6   = netip.MustParseAddr("2001:db8::100")
)

func config6(priority uint8) vrrp.RouterConfig {
	cfg := config(priority)
	cfg.Name, cfg.Addresses = "edge6", []netip.Addr{local6, vip6}
	return cfg
}

// Routers of one VRID and interface over IPv4 and IPv6 are two, which know nothing
// of each other (RFC 5798, section 1: "the virtual routers in each of the IPv4 and
// IPv6 address families are a domain unto themselves and do not overlap").
func TestFamiliesAreIndependent(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha, local6, alpha6)
		b := w.node("b", beta, beta6)
		a.Set([]vrrp.RouterConfig{config(200), config6(100)}, nil)
		b.Set([]vrrp.RouterConfig{config(100), config6(200)}, nil)
		time.Sleep(10 * time.Second)
		want := map[string][2]vrrp.State{"a": {vrrp.Master, vrrp.Backup}, "b": {vrrp.Backup, vrrp.Master}}
		for name, n := range map[string]*node{"a": a, "b": b} {
			all, err := n.Status(w.Context())
			if err != nil || len(all) != 2 {
				w.Fatalf("Status = %+v, %v", all, err)
			}
			for i, s := range all {
				if s.State != want[name][i] || len(s.Dropped) != 0 || s.Problem != "" {
					w.Errorf("%s on %s is %v, dropped %v, problem %q; want %v", s.Name, name, s.State, s.Dropped, s.Problem, want[name][i])
				}
			}
			if got := all[1].Source; name == "a" && got != alpha6 || name == "b" && got != beta6 {
				w.Errorf("source of %s = %v, want its own link-local address", name, got)
			}
		}
	})
}

// Carrier news are of the interface, and so of both families.
func TestLinkNewsReachBothFamilies(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha, alpha6)
		a.Set([]vrrp.RouterConfig{config(100), config6(100)}, nil)
		w.took()
		a.Link("eth0", false)
		w.want("0s a: backup to init: link down", "0s a: backup to init: link down")
		a.Link("eth0", true)
		w.want("0s a: init to backup: link up", "0s a: init to backup: link up")
	})
}

// A link-local address that comes late, as after duplicate address detection, is
// waited for; IPv4 does not wait.
func TestIPv6WaitsForALinkLocalAddress(t *testing.T) {
	inBubble(t, func(w *world) {
		host := w.lan.Host("a", "eth0", alpha, vip6)
		a := w.on("a", host)
		a.Set([]vrrp.RouterConfig{config(100), config6(100)}, nil)
		w.want("0s a: init to backup: start")
		host.SetAddresses(alpha, vip6, alpha6)
		time.Sleep(time.Second)
		w.want("1s a: init to backup: start")
	})
}

// Addresses of the other family under the same name are another router.
func TestChangeOfFamilyHandsOverFirst(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha, alpha6)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		six := config6(255)
		six.Name = "edge"
		a.Set([]vrrp.RouterConfig{six}, nil)
		time.Sleep(4 * time.Second)
		w.want("0s a sends 0", "0s a: master to leaving: removed from the configuration",
			"4s a: leaving to init: no successor heard", "4s a sends 255", "4s a: init to master: address owner")
		synctest.Wait()
		if got := a.status().Source; got != alpha6 {
			w.Errorf("source = %v, want %v", got, alpha6)
		}
	})
}

// The longest advert that IPv6 allows is received whole.
func TestIPv6LongestAdvertIsReceived(t *testing.T) {
	inBubble(t, func(w *world) {
		full := func(priority uint8) vrrp.RouterConfig {
			cfg := config6(priority)
			for i := len(cfg.Addresses); i < vrrp.MaxAddresses; i++ {
				cfg.Addresses = append(cfg.Addresses, netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 14: 1, 15: byte(i)}))
			}
			return cfg
		}
		a, b := w.node("a", alpha6), w.node("b", beta6)
		a.Set([]vrrp.RouterConfig{full(255)}, nil)
		b.Set([]vrrp.RouterConfig{full(100)}, nil)
		time.Sleep(1500 * time.Millisecond)
		if got := b.status(); got.Received == 0 || len(got.Dropped) != 0 || got.Problem != "" {
			w.Errorf("received %d, dropped %v, problem %q", got.Received, got.Dropped, got.Problem)
		}
	})
}
