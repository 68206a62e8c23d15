package vrrp

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func unicast(priority uint8, peers ...netip.Addr) RouterConfig {
	cfg := config(priority)
	cfg.Peers = peers
	return cfg
}

// Checklist 16: the destination is the peer, the source the own address, and the
// pseudo-header has both.
func TestUnicastAdvertsGoToEachPeerButOurselves(t *testing.T) {
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	m := NewMachine(unicast(255, alpha, beta, gamma), beta, now)
	actions := m.Step(now, Event{Kind: EventStart, Reason: ReasonStart})
	var to []netip.Addr
	for _, a := range actions[:2] {
		var p Packet
		d := &Datagram{Source: beta, Destination: a.To, TTL: 255, Payload: a.Message}
		if reason := p.ParseFor(new(unicast(100, beta)), d); a.Kind != ActionSend || reason != Accepted || p.Priority != 255 {
			t.Errorf("advert to %v is dropped by its receiver: %v", a.To, reason)
		}
		to = append(to, a.To)
	}
	if len(actions) != 3 || !slices.Equal(to, []netip.Addr{alpha, gamma}) || actions[2].Transition.To != Master {
		t.Errorf("adverts to %v, %d actions, want alpha and gamma, and then the transition", to, len(actions))
	}
	actions = m.Step(now, Event{Kind: EventSource, From: gamma})
	if len(actions) != 2 || actions[0].To != alpha || actions[1].To != beta {
		t.Errorf("after a change of the source: %+v, want adverts to alpha and beta", actions)
	}
	actions = m.Step(now, Event{Kind: EventStop, Reason: ReasonShutdown})
	if len(actions) != 3 || actions[0].Message[2] != 0 || actions[1].Message[2] != 0 {
		t.Errorf("after a stop: %+v, want priority 0 for both", actions)
	}
}

// Checklist 62: strangers are dropped, multicast is ignored, the TTL may be limited.
func TestUnicastReceiveChecks(t *testing.T) {
	to := func(destination netip.Addr) []byte {
		b, err := advert(new(config(150)), alpha, destination, 150)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	limited := unicast(100, alpha)
	limited.MinTTL = 254
	for _, test := range []struct {
		name        string
		cfg         RouterConfig
		source      netip.Addr
		destination netip.Addr
		ttl         uint8
		want        DropReason
	}{
		{"a peer", unicast(100, alpha), alpha, beta, 255, Accepted},
		{"a peer some hops away", unicast(100, alpha), alpha, beta, 3, Accepted},
		{"a peer as far as allowed", limited, alpha, beta, 254, Accepted},
		{"a peer farther than allowed", limited, alpha, beta, 253, DropHops},
		{"a stranger", unicast(100, gamma), alpha, beta, 255, DropPeer},
		{"a peer by multicast", unicast(100, alpha), alpha, Group, 255, DropDestination},
		{"unicast to a multicast router", config(100), alpha, beta, 255, DropDestination},
	} {
		var p Packet
		d := &Datagram{Source: test.source, Destination: test.destination, TTL: test.ttl, Payload: to(test.destination)}
		if got := p.ParseFor(&test.cfg, d); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	var p Packet
	d := &Datagram{Source: alpha, Destination: beta, TTL: 255, Payload: to(gamma)}
	if got := p.ParseFor(new(unicast(100, alpha)), d); got != DropChecksum {
		t.Errorf("checksum of another destination: %v, want %v", got, DropChecksum)
	}
}

func TestValidateOfPeers(t *testing.T) {
	if err := new(unicast(100, alpha, beta)).Validate(); err != nil {
		t.Error(err)
	}
	limit := config(100)
	limit.MinTTL = 255
	six := unicast(100, netip.MustParseAddr("2001:db8::1"))
	six.Addresses = []netip.Addr{local6}
	for want, cfg := range map[string]RouterConfig{
		"peer fe80::1: must be an IPv4 address":                    unicast(100, alpha6),
		"peer 224.0.0.18: must be the address of one host":         unicast(100, Group),
		"peer 0.0.0.0: must be the address of one host":            unicast(100, netip.IPv4Unspecified()),
		"peer 192.0.2.100: is a virtual address":                   unicast(100, vip),
		"peer 2001:db8::1: must be link-local":                     six,
		"minimum TTL 255: is of unicast peers, and there are none": limit,
		"peer invalid IP: must be an IPv4 address":                 unicast(100, netip.Addr{}),
		"peer ::ffff:198.51.100.1: must be an IPv4 address":        unicast(100, netip.AddrFrom16(alpha.As16())),
	} {
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, lacks %q", err, want)
		}
	}
}

// recorder is a Port that keeps what is sent.
type recorder struct {
	Port
	group [][]byte
	to    []Outgoing
}

func (r *recorder) Send(_ netip.Addr, messages [][]byte) (int, error) {
	r.group = append(r.group, messages...)
	return len(messages), nil
}

func (r *recorder) SendTo(_ netip.Addr, messages []Outgoing) (int, error) {
	r.to = append(r.to, messages[0]) // one at a time, as a full queue might take them
	return 1, nil
}

func TestResignReachesGroupOrPeers(t *testing.T) {
	var r recorder
	if err := Resign(&r, new(config(100)), beta); err != nil || len(r.group) != 1 || len(r.to) != 0 || r.group[0][2] != 0 {
		t.Errorf("Resign = %v, sent %x and %x", err, r.group, r.to)
	}
	r = recorder{}
	if err := Resign(&r, new(unicast(100, alpha, beta, gamma)), beta); err != nil || len(r.group) != 0 || len(r.to) != 2 || r.to[1].To != gamma || r.to[1].Message[2] != 0 {
		t.Errorf("Resign = %v, sent %x and %+v", err, r.group, r.to)
	}
	if got := Will(unicast(100, alpha), beta); got != nil {
		t.Errorf("Will of a unicast router = %x, want none", got)
	}
	if err := Resign(&r, &RouterConfig{}, beta); err == nil {
		t.Error("Resign of an impossible configuration succeeds")
	}
}

func TestUnicastMachineDoesNotAllocate(t *testing.T) {
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	m := NewMachine(unicast(255, alpha, gamma), beta, now)
	m.Step(now, Event{Kind: EventStart, Reason: ReasonStart})
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Second)
		if len(m.Advance(now)) != 2 {
			t.Fatal("want two adverts")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
