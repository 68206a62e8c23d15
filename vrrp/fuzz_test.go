package vrrp

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// Whatever is received: parsing never panics, and what is accepted means the same
// after it was written and read again.
func FuzzParse(f *testing.F) {
	f.Add(uint8(255), literal)
	f.Add(uint8(255), literal9568)
	f.Add(uint8(255), []byte{0x31, 51, 0, 1, 0xf0, 100, 0, 0, 192, 0, 2, 100})
	f.Add(uint8(64), []byte{})
	f.Fuzz(func(t *testing.T, ttl uint8, payload []byte) {
		var p Packet
		reason := p.Parse(&Datagram{Source: alpha, Destination: Group, TTL: ttl, Payload: payload})
		if reason == DropChecksum { // hardly ever right by chance
			payload = slices.Clone(payload)
			payload[6], payload[7] = 0, 0
			check := ^fold(sum(pseudoHeader(alpha, Group, len(payload)), payload))
			payload[6], payload[7] = byte(check>>8), byte(check)
			if reason = p.Parse(datagram(payload)); reason == DropChecksum {
				t.Fatalf("%x has the right checksum and is dropped for it", payload)
			}
		}
		if reason != Accepted {
			return
		}
		written, err := p.Append(nil, alpha, Group)
		if err != nil {
			t.Fatalf("accepted %x, but cannot be written: %v", payload, err)
		}
		var again Packet
		if reason := again.Parse(datagram(written)); reason != Accepted || again.VRID != p.VRID || again.Priority != p.Priority ||
			again.Interval != p.Interval || !slices.Equal(again.Addresses, p.Addresses) {
			t.Errorf("%x parses to %+v, written and read again to %+v (%v)", payload, p, again, reason)
		}
		// Only the reserved bits and the form of the checksum may differ.
		same := slices.Clone(payload)
		same[4] &= 0x0f
		if copy(same[6:8], written[6:8]); !bytes.Equal(same, written) {
			t.Errorf("%x is written as %x", payload, written)
		}
	})
}

// Whatever happens in whatever order, these hold after each event.
func FuzzMachine(f *testing.F) {
	f.Add(uint8(100), []byte{0, 0, 0, 1, 40, 0, 2, 200, 1, 1, 255, 0, 4, 0, 0, 1, 100, 0})
	f.Add(uint8(255), []byte{0, 0, 0, 2, 255, 2, 1, 20, 0, 3, 0, 0, 2, 90, 0, 1, 200, 0})
	f.Add(uint8(128), []byte{8, 2, 9, 1, 10, 0, 5, 7, 0, 6, 3, 0, 7, 0, 0, 0, 0, 0, 1, 250, 9})
	f.Fuzz(func(t *testing.T, priority uint8, script []byte) {
		cfg := config(max(priority, 1))
		now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		m := NewMachine(cfg, beta, now)
		for len(script) >= 3 {
			op, a, b := script[0]%10, script[1], script[2]
			script = script[3:]
			before := m.state
			var actions []Action
			switch op {
			case 0:
				actions = m.Step(now, Event{Kind: EventStart, Reason: ReasonStart})
			case 1: // on time or late, by up to 25 s
				now = now.Add(time.Duration(a)*100*time.Millisecond + time.Duration(b))
				actions = m.Advance(now)
			case 2:
				from := []netip.Addr{alpha, gamma}[b%2]
				actions = m.Step(now, Event{Kind: EventPacket, From: from, Packet: &Packet{VRID: 51, Priority: a, Interval: MinInterval * time.Duration(1+int(b)*16)}})
			case 3:
				actions = m.Step(now, Event{Kind: EventStop, Reason: ReasonShutdown})
			case 4:
				actions = m.Step(now, Event{Kind: EventFault, Reason: ReasonLinkDown})
			case 5:
				cfg.Priority, cfg.Interval = max(a, 1), MinInterval*time.Duration(1+int(b))
				actions = m.Step(now, Event{Kind: EventConfigure, Config: &cfg})
			case 6:
				cfg.Preempt, cfg.PreemptDelay = a%2 == 0, time.Duration(b)*time.Second
				actions = m.Step(now, Event{Kind: EventConfigure, Config: &cfg})
			case 7:
				actions = m.Step(now, Event{Kind: EventSource, From: netip.AddrFrom4([4]byte{198, 51, 100, a})})
			case 8:
				actions = m.Step(now, Event{Kind: EventResume, Resume: &Resume{State: State(a % 5), Since: now, Master: alpha,
					MasterInterval: MinInterval * time.Duration(b), Silent: time.Duration(a) * 50 * time.Millisecond}})
			case 9: // exactly on time
				if deadline, ok := m.Deadline(); ok && deadline.After(now) {
					now = deadline
				}
				actions = m.Advance(now)
			}
			checkInvariants(t, m, now, before, actions)
		}
	})
}

func checkInvariants(t *testing.T, m *Machine, now time.Time, state State, actions []Action) {
	t.Helper()
	before := state
	sent := []uint8{}
	for _, a := range actions {
		switch a.Kind {
		case ActionSend:
			var p Packet
			if reason := p.Parse(&Datagram{Source: m.source, Destination: Group, TTL: 255, Payload: a.Message}); reason != Accepted || p.VRID != m.cfg.VRID {
				t.Fatalf("sent %x, which is dropped: %v", a.Message, reason)
			}
			sent = append(sent, p.Priority)
		case ActionTransition:
			if a.Transition.From != state || !a.Transition.At.Equal(now) || a.Transition.Reason == "" {
				t.Fatalf("transition %+v in state %v at %v", a.Transition, state, now)
			}
			if a.Transition.From == a.Transition.To && a.Transition.Reason != ReasonRival {
				t.Fatalf("transition to the same state: %+v", a.Transition)
			}
			state = a.Transition.To
		}
	}
	if state != m.state {
		t.Fatalf("state is %v, but transitions end in %v", m.state, state)
	}
	deadline, running := m.Deadline()
	if running != (m.state != Init) {
		t.Fatalf("state %v, timer running: %v", m.state, running)
	}
	switch m.state {
	case Init:
		if len(sent) > 0 {
			t.Fatalf("sent %v on the way to %v", sent, m.state)
		}
	case Backup:
		yielded := before == Master && (m.reason == ReasonHigherPriority || m.reason == ReasonHigherAddress)
		if yielded != (len(sent) == 1) {
			t.Fatalf("sent %v on the way from %v to %v: %v", sent, before, m.state, m.reason)
		}
	case Master:
		if slices.Contains(sent, 0) || deadline.After(now.Add(m.cfg.Interval)) || m.master != m.source {
			t.Fatalf("master sent %v, next in %v, master %v", sent, deadline.Sub(now), m.master)
		}
	case Leaving:
		if len(sent) > 1 || len(sent) == 1 && sent[0] != 0 || deadline.After(now.Add(HandoverBound(MaxInterval))) {
			t.Fatalf("leaving, sent %v, until in %v", sent, deadline.Sub(now))
		}
	}
	if len(sent) > 1 {
		t.Fatalf("%d adverts at once: %v", len(sent), sent)
	}
}
