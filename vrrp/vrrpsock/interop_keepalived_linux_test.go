package vrrpsock_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
)

const interopInterval = 200 * time.Millisecond

// mode is one way in which two routers can talk.
type mode struct {
	name        string
	alpha, beta netip.Addr
	cfg         vrrp.RouterConfig // without priority
}

func modes() []mode {
	six := config(0, interopInterval)
	six.Addresses = []netip.Addr{local6, vip6}
	unicast := config(0, interopInterval)
	unicast.Peers = []netip.Addr{alpha, beta}
	unicast6 := six
	unicast6.Peers = []netip.Addr{alpha6, beta6}
	second := config(0, time.Second)
	second.Version = 2
	apart := second
	apart.Peers = unicast.Peers
	secret := second
	secret.Authentication = "secret"
	return []mode{
		{"version 3 over IPv4", alpha, beta, config(0, interopInterval)},
		{"version 3 over IPv6", alpha6, beta6, six},
		{"version 3 by unicast", alpha, beta, unicast},
		{"version 3 over IPv6 by unicast", alpha6, beta6, unicast6},
		{"version 2 by unicast", alpha, beta, apart},
		{"version 2", alpha, beta, second},
		{"version 2 with a password", alpha, beta, secret},
	}
}

// of returns the configuration with a priority.
func (m mode) of(priority uint8) vrrp.RouterConfig {
	m.cfg.Priority = priority
	return m.cfg
}

// peer is the configuration for the daemon on a host, which does not skip itself.
func (m mode) peer(own netip.Addr) vrrp.RouterConfig {
	cfg := m.cfg
	cfg.Peers = nil
	for _, p := range m.cfg.Peers {
		if p != own {
			cfg.Peers = append(cfg.Peers, p)
		}
	}
	return cfg
}

func (m mode) checksum() vrrp.Checksum {
	if m.cfg.Version == 2 || m.cfg.Family() == vrrp.IPv6 {
		return ""
	}
	return vrrp.ChecksumRFC5798
}

// keepalived as master: it is elected, crashes, comes back, and resigns.
func TestInteroperabilityKeepalivedAsMaster(t *testing.T) {
	needKeepalived(t)
	t.Parallel()
	for _, m := range modes() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel() // they wait for timers
			s := newSegment(t)
			a, b := s.host("a", m.alpha), s.host("b", m.beta)
			k := a.keepalived(m.peer(m.alpha), 200)
			k.awaitRole(true)
			d := b.direct(m.of(100))
			d.await(vrrp.Backup, vrrp.ReasonStart)
			eventually(t, "adverts of keepalived", func() bool { return d.status().Received > 4 })
			got := d.status()
			if got.State != vrrp.Backup || got.Master != m.alpha || got.Heard.Priority != 200 || got.Heard.Interval != m.cfg.Interval ||
				got.Heard.Checksum != m.checksum() || len(got.Dropped) != 0 || got.Problem != "" || got.Sent != 0 {
				t.Errorf("status = %+v, heard %+v, want a backup that heard nothing wrong", got, got.Heard)
			}

			k.kill()
			d.await(vrrp.Master, vrrp.ReasonMasterDown)
			for _, address := range m.cfg.Addresses {
				a.remove(address) // which a killed keepalived leaves behind
			}

			k = a.keepalived(m.peer(m.alpha), 200)
			d.await(vrrp.Backup, vrrp.ReasonHigherPriority)
			k.awaitRole(true)

			k.terminate()
			d.await(vrrp.Master, vrrp.ReasonMasterResigned)
		})
	}
}

// haldir as master: it is elected, hands over, comes back, and crashes.
func TestInteroperabilityHaldirAsMaster(t *testing.T) {
	needKeepalived(t)
	t.Parallel()
	for _, m := range modes() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel() // they wait for timers
			s := newSegment(t)
			a, b := s.host("a", m.alpha), s.host("b", m.beta)
			d := a.direct(m.of(200))
			k := b.keepalived(m.peer(m.beta), 100)
			d.await(vrrp.Master, vrrp.ReasonMasterDown)
			eventually(t, "keepalived to be a backup", func() bool { return strings.Contains(k.text(), "Entering BACKUP STATE") })
			sent := d.status().Sent
			eventually(t, "five adverts", func() bool { return d.status().Sent > sent+5 })
			k.awaitRole(false)

			d.shutdown()
			d.await(vrrp.Init, vrrp.ReasonSuccessor)
			k.awaitRole(true)
			d.stop()

			d = a.direct(m.of(200))
			d.await(vrrp.Backup, vrrp.ReasonStart)
			d.await(vrrp.Master, vrrp.ReasonMasterDown)
			k.awaitRole(false)

			d.stop() // without a word
			k.awaitRole(true)
			if text := k.text(); strings.Contains(text, "Invalid") || strings.Contains(text, "bad ") || strings.Contains(text, "checksum") {
				t.Errorf("keepalived complains:\n%s", text)
			}
		})
	}
}

// A wrong password, or none, is no master: two masters that do not hear each other.
func TestInteroperabilityRefusesAnotherPassword(t *testing.T) {
	needKeepalived(t)
	t.Parallel()
	s := newSegment(t)
	a, b := s.host("a", alpha), s.host("b", beta)
	cfg := config(0, time.Second)
	cfg.Version, cfg.Authentication = 2, "secret"
	a.keepalived(cfg, 200).awaitRole(true)
	cfg.Authentication, cfg.Priority = "Secret", 100
	d := b.direct(cfg)
	d.await(vrrp.Master, vrrp.ReasonMasterDown)
	if got := d.status(); got.Received != 0 || got.Dropped["authentication"] < 3 {
		t.Errorf("received %d, dropped %v; want three for their authentication", got.Received, got.Dropped)
	}
}

// Equal priorities after a partition: exactly one stable master, the one of the
// higher address, whichever of the two that is.
func TestInteroperabilityOfEqualPriorities(t *testing.T) {
	needKeepalived(t)
	t.Parallel()
	for _, test := range []struct {
		name               string
		haldir, keepalived netip.Addr
	}{
		{"haldir stays", beta, alpha},
		{"keepalived stays", alpha, beta},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSegment(t)
			a, b := s.host("a", test.haldir), s.host("b", test.keepalived)
			s.partition(true, a, b)
			cfg := config(100, interopInterval)
			d, k := a.direct(cfg), b.keepalived(cfg, 100)
			d.await(vrrp.Master, vrrp.ReasonMasterDown)
			k.awaitRole(true)
			s.partition(false, a, b)
			want := vrrp.Master
			if test.keepalived == beta {
				want = vrrp.Backup
				d.await(vrrp.Backup, vrrp.ReasonHigherAddress)
			} else {
				k.awaitRole(false)
			}
			before := d.status()
			eventually(t, "ten adverts", func() bool {
				now := d.status()
				return now.Sent > before.Sent+10 || now.Received > before.Received+10
			})
			if got := d.status().State; got != want || k.has(vip) != (want == vrrp.Backup) {
				t.Errorf("haldir is %v, keepalived holds the address: %v; want haldir to be %v", got, k.has(vip), want)
			}
		})
	}
}
