package firewall

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
)

// entry is one of the old iptables with a standard target.
func entry(verdict int32, change func([]byte)) []byte {
	b := make([]byte, layout4.matches+40)
	binary.NativeEndian.PutUint16(b[layout4.target:], uint16(layout4.matches))
	binary.NativeEndian.PutUint16(b[layout4.target+2:], uint16(len(b)))
	binary.NativeEndian.PutUint16(b[layout4.matches:], 40)
	binary.NativeEndian.PutUint32(b[layout4.matches+32:], uint32(verdict))
	if change != nil {
		change(b)
	}
	return b
}

func inputOnly(entries ...[]byte) legacyTable {
	t := legacyTable{name: "filter", valid: 1 << 1}
	for _, e := range entries {
		t.policy[1] = uint32(len(t.entries))
		t.entries = append(t.entries, e...)
	}
	return t
}

func TestParseLegacy(t *testing.T) {
	vrrp := entry(-2, func(b []byte) { binary.NativeEndian.PutUint16(b[layout4.protocol:], 112) })
	chains, _, err := parseLegacy(layout4, inputOnly(vrrp, entry(-1, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r := &Ruleset{chains: chains}
	packet := Packet{Source: netip.MustParseAddr("192.0.2.3"), Destination: netip.MustParseAddr("224.0.0.18"), Protocol: 112}
	if got := r.Follow(Input, packet); got.Fate != Passes {
		t.Errorf("VRRP: %+v, want it to pass", got)
	}
	packet.Protocol = 17
	want := Decision{
		Fate: Dropped, Rule: "policy of chain INPUT of table filter (iptables)",
		Place: Place{Program: "iptables-legacy", Table: "filter", Chain: "INPUT"},
	}
	if got := r.Follow(Input, packet); got != want {
		t.Errorf("UDP: %+v, want %+v", got, want)
	}
}

func TestParseLegacyRefusesWhatEndsEarly(t *testing.T) {
	whole := entry(-1, nil)
	for n := 1; n < len(whole); n++ {
		if _, _, err := parseLegacy(layout4, legacyTable{name: "filter", valid: 2, entries: whole[:n]}); !errors.Is(err, errShort) {
			t.Errorf("%d of %d bytes: %v, want errShort", n, len(whole), err)
		}
	}
}

func FuzzParseLegacy(f *testing.F) {
	f.Add(entry(-1, nil), false)
	f.Add(append(entry(152, nil), entry(0, nil)...), false)
	f.Add(make([]byte, 400), true)
	f.Fuzz(func(_ *testing.T, entries []byte, v6 bool) {
		l := layout4
		if v6 {
			l = layout6
		}
		chains, _, err := parseLegacy(l, legacyTable{name: "filter", valid: 2, entries: entries})
		if err != nil || len(entries) > 2000 {
			return
		}
		packet := Packet{Source: netip.MustParseAddr("192.0.2.3"), Destination: netip.MustParseAddr("192.0.2.2"), Protocol: 6, Port: 80}
		_ = (&Ruleset{chains: chains}).Follow(Input, packet)
	})
}
