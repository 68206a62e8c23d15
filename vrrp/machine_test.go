package vrrp

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bench drives one Machine by hand. Time stands still until it is moved.
type bench struct {
	*testing.T
	m     *Machine
	start time.Time
	now   time.Time
}

// config is of beta, 198.51.100.2, unless a test says otherwise.
func config(priority uint8) RouterConfig {
	return RouterConfig{Name: "edge", Interface: "eth0", VRID: 51, Priority: priority,
		Interval: time.Second, Preempt: true, Addresses: []netip.Addr{vip}}
}

func newBench(t *testing.T, cfg RouterConfig) *bench {
	t.Helper()
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	return &bench{T: t, m: NewMachine(cfg, beta, now), start: now, now: now}
}

// started is a bench after Startup.
func started(t *testing.T, cfg RouterConfig) *bench {
	t.Helper()
	b := newBench(t, cfg)
	b.m.Step(b.now, Event{Kind: EventStart, Reason: ReasonStart})
	return b
}

// mastered is a bench that has taken over from nobody just now.
func mastered(t *testing.T, cfg RouterConfig) *bench {
	t.Helper()
	b := started(t, cfg)
	if cfg.Priority != OwnerPriority {
		b.sleep(MasterDownInterval(cfg.Priority, cfg.Interval))
	}
	b.wantState(Master)
	b.sleep(10 * time.Millisecond) // answers are not held back
	return b
}

// did is what a Machine wanted done, in words.
type did []string

func (b *bench) words(actions []Action) did {
	b.Helper()
	var words did
	for _, a := range actions {
		switch a.Kind {
		case ActionSend:
			var p Packet
			if reason := p.Parse(&Datagram{Source: b.m.source, Destination: Group, TTL: 255, Payload: a.Message}); reason != Accepted {
				b.Fatalf("sent a packet that is dropped: %v", reason)
			}
			word := "send " + strconv.Itoa(int(p.Priority))
			if p.Interval != time.Second {
				word += " " + p.Interval.String()
			}
			words = append(words, word)
		case ActionTransition:
			t := a.Transition
			words = append(words, t.From.String()+" to "+t.To.String()+": "+string(t.Reason))
		}
	}
	return words
}

// sleep moves time on and lets the timer fire at its instants.
func (b *bench) sleep(d time.Duration) did {
	b.Helper()
	var words did
	until := b.now.Add(d)
	for {
		deadline, ok := b.m.Deadline()
		if !ok || deadline.After(until) {
			b.now = until
			return words
		}
		b.now = deadline
		words = append(words, b.words(b.m.Advance(b.now))...)
	}
}

// stall moves time on without anybody looking, and then lets the timer fire.
func (b *bench) stall(d time.Duration) did {
	b.Helper()
	b.now = b.now.Add(d)
	return b.words(b.m.Advance(b.now))
}

func (b *bench) step(ev Event) did {
	b.Helper()
	return b.words(b.m.Step(b.now, ev))
}

// hear delivers an advert of interval one second.
func (b *bench) hear(from netip.Addr, priority uint8) did {
	b.Helper()
	return b.hearEvery(from, priority, time.Second)
}

func (b *bench) hearEvery(from netip.Addr, priority uint8, interval time.Duration) did {
	b.Helper()
	return b.step(Event{Kind: EventPacket, From: from, Packet: &Packet{VRID: 51, Priority: priority, Interval: interval, Addresses: []netip.Addr{vip}}})
}

func (b *bench) wantState(want State) {
	b.Helper()
	if got, _, _ := b.m.State(); got != want {
		b.Fatalf("state = %v, want %v", got, want)
	}
}

// wantDeadline asserts when the timer fires, counted from now.
func (b *bench) wantDeadline(want time.Duration) {
	b.Helper()
	deadline, ok := b.m.Deadline()
	if got := deadline.Sub(b.now); !ok || got != want {
		b.Errorf("timer fires in %v (running: %v), want %v", got, ok, want)
	}
}

func (b *bench) want(got did, want ...string) {
	b.Helper()
	if d := cmp.Diff(did(want), got, cmp.Transformer("", func(d did) []string { return append([]string{}, d...) })); d != "" {
		b.Errorf("unexpected actions (-want +got):\n%s", d)
	}
}
