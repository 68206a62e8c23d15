package vrrp

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// FuzzParseFor is FuzzParse for the other modes: IPv6, unicast, and version 2 with
// and without a password.
func FuzzParseFor(f *testing.F) {
	secret := config2(100)
	secret.Authentication = "secret"
	six := config(100)
	six.Addresses = []netip.Addr{local6}
	modes := []struct {
		cfg                 RouterConfig
		source, destination netip.Addr
	}{
		{six, alpha6, Group6},
		{unicast(100, alpha), alpha, beta},
		{config2(100), alpha, Group},
		{secret, alpha, Group},
	}
	f.Add(uint8(0), literal6)
	f.Add(uint8(1), literal)
	f.Add(uint8(2), literal2)
	f.Add(uint8(3), literal2Auth)
	f.Fuzz(func(t *testing.T, mode uint8, payload []byte) {
		m := modes[int(mode)%len(modes)]
		d := &Datagram{Source: m.source, Destination: m.destination, TTL: 255, Payload: payload}
		var p Packet
		reason := p.ParseFor(&m.cfg, d)
		if reason == DropChecksum { // hardly ever right by chance
			d.Payload = slices.Clone(payload)
			d.Payload[6], d.Payload[7] = 0, 0
			acc := sum(0, d.Payload)
			if m.cfg.version() == 3 {
				acc += pseudoHeader(m.source, m.destination, len(payload))
			}
			check := ^fold(acc)
			d.Payload[6], d.Payload[7] = byte(check>>8), byte(check)
			if reason = p.ParseFor(&m.cfg, d); reason == DropChecksum {
				t.Fatalf("%x has the right checksum and is dropped for it", d.Payload)
			}
		}
		if reason != Accepted {
			return
		}
		p.Authentication = m.cfg.Authentication
		written, err := p.Append(nil, m.source, m.destination)
		if err != nil {
			t.Fatalf("accepted %x, but cannot be written: %v", d.Payload, err)
		}
		var again Packet
		if reason := again.ParseFor(&m.cfg, &Datagram{Source: m.source, Destination: m.destination, TTL: 255, Payload: written}); reason != Accepted ||
			again.VRID != p.VRID || again.Priority != p.Priority || again.Interval != p.Interval || !slices.Equal(again.Addresses, p.Addresses) {
			t.Errorf("%x parses to %+v, written and read again to %+v (%v)", d.Payload, p, again, reason)
		}
		if m.cfg.version() == 2 && p.Interval != time.Second {
			t.Errorf("interval %v is accepted, ours is 1s", p.Interval)
		}
		if len(written) != len(d.Payload) {
			t.Errorf("%x is written as %x", d.Payload, written)
		}
	})
}
