package vrrp_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/vrrp"
)

func config2(priority uint8) vrrp.RouterConfig {
	cfg := config(priority)
	cfg.Version, cfg.Authentication = 2, "secret"
	return cfg
}

func TestVersion2ElectionAndFailover(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		a.Set([]vrrp.RouterConfig{config2(200)}, nil)
		b.Set([]vrrp.RouterConfig{config2(100)}, nil)
		w.took()
		time.Sleep(3300 * time.Millisecond)
		w.want("3.21875s a sends 200", "3.21875s a: backup to master: master silent")
		got := b.status()
		if got.Master != alpha || got.Received != 1 || len(got.Dropped) != 0 || got.Heard.Checksum != "" {
			w.Errorf("b: master %v, received %d, dropped %v, heard %+v", got.Master, got.Received, got.Dropped, got.Heard)
		}
		if got.Authentication != "" || got.Version != 2 {
			w.Errorf("status shows version %d and password %q, want 2 and none", got.Version, got.Authentication)
		}
		a.crash()
		time.Sleep(3609375 * time.Microsecond)
		w.want("6.828125s b sends 100", "6.828125s b: backup to master: master silent")
		b.crash()
		if text := b.log.String(); !strings.Contains(text, "everybody on the link can read it") || strings.Contains(text, "secret") {
			w.Errorf("the log does not warn of the password, or has it:\n%s", text)
		}
	})
}

// RFC 3768, 7.1: what does not agree with the local configuration is discarded,
// and counted by its reason.
func TestVersion2DropsWhatDisagrees(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config2(200)}, nil)
		w.took()
		inject := func(p vrrp.Packet) {
			p.VRID, p.Priority, p.Addresses = 51, 250, []netip.Addr{vip}
			m, err := p.Append(nil, beta, vrrp.Group)
			if err != nil {
				w.Fatal(err)
			}
			w.lan.Inject(vrrp.Datagram{Source: beta, Destination: vrrp.Group, TTL: 255, Payload: m})
		}
		for range 3 {
			inject(vrrp.Packet{Interval: time.Second})
			inject(vrrp.Packet{Version: 2, Interval: time.Second})
			inject(vrrp.Packet{Version: 2, Interval: time.Second, Authentication: "Secret"})
			inject(vrrp.Packet{Version: 2, Interval: 2 * time.Second, Authentication: "secret"})
			time.Sleep(time.Second)
		}
		time.Sleep(218750 * time.Microsecond)
		w.want("3.21875s a sends 200", "3.21875s a: backup to master: master silent")
		want := map[string]uint64{"version": 3, "authentication": 6, "other interval": 3}
		if d := cmp.Diff(want, a.status().Dropped); d != "" {
			w.Errorf("dropped (-want +got):\n%s", d)
		}
	})
}

// Either form of the checksum is understood, and the status tells which one the
// other router uses.
func TestStatusTellsTheChecksumOfThePeer(t *testing.T) {
	for _, form := range []vrrp.Checksum{vrrp.ChecksumRFC5798, vrrp.ChecksumRFC9568} {
		inBubble(t, func(w *world) {
			a, b := w.node("a", alpha), w.node("b", beta)
			cfg := config(200)
			cfg.Checksum = form
			a.Set([]vrrp.RouterConfig{cfg}, nil)
			b.Set([]vrrp.RouterConfig{config(100)}, nil)
			time.Sleep(3300 * time.Millisecond)
			if got := b.status(); got.Heard == nil || got.Heard.Checksum != form || len(got.Dropped) != 0 {
				w.Errorf("b heard %+v, dropped %v; want checksum %q", got.Heard, got.Dropped, form)
			}
		})
	}
}

// A password that is set at run time counts at once, and is warned of then.
func TestPasswordChangesAtRunTime(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		open := config2(200)
		open.Authentication = ""
		a.Set([]vrrp.RouterConfig{config2(255)}, nil)
		b.Set([]vrrp.RouterConfig{open}, nil)
		time.Sleep(1500 * time.Millisecond)
		if got := b.status(); got.Received != 0 {
			w.Errorf("received %d with a password that is not ours", got.Received)
		}
		b.Set([]vrrp.RouterConfig{config2(200)}, nil)
		time.Sleep(time.Second)
		if got := b.status(); got.Received != 1 || got.Master != alpha {
			w.Errorf("received %d from %v, want one from %v", got.Received, got.Master, alpha)
		}
		b.crash()
		if !strings.Contains(b.log.String(), "everybody on the link can read it") {
			w.Error("no warning of the password")
		}
	})
}
