package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// What a state remembers must not leak into the next one.

func TestReasonOfATakeoverIsOfThisTakeover(t *testing.T) {
	b := started(t, config(128))
	b.hear(alpha, 0)
	b.sleep(500 * time.Millisecond)
	b.wantState(Master) // "master resigned"
	b.sleep(10 * time.Millisecond)
	b.hear(alpha, 200)
	b.want(b.sleep(3500*time.Millisecond), "send 128", "backup to master: master silent")
}

func TestANewMasterReportsASecondOneAtOnce(t *testing.T) {
	cfg := config(128)
	cfg.Interval = 10 * time.Millisecond
	b := mastered(t, cfg)
	report := "master to master: second master heard, staying master"
	b.want(b.hearEvery(alpha, 1, cfg.Interval), report)
	b.hearEvery(alpha, 200, cfg.Interval)
	b.sleep(35 * time.Millisecond)
	b.wantState(Master)
	b.want(b.hearEvery(alpha, 1, cfg.Interval), report)
}

func TestAnswerIsNotLaterThanTheNextAdvert(t *testing.T) {
	cfg := config(128)
	cfg.Interval = 100 * time.Millisecond
	b := mastered(t, cfg) // 10 ms after the takeover
	b.want(b.stall(185*time.Millisecond), "send 128 100ms")
	b.wantDeadline(5 * time.Millisecond)
	b.want(b.hear(alpha, 0))
	b.wantDeadline(5 * time.Millisecond)
}

func TestStalledMasterKnowsNoMaster(t *testing.T) {
	b := mastered(t, config(128))
	b.stall(5 * time.Second)
	if master, _ := b.m.Master(); master.IsValid() {
		t.Errorf("master = %v, want none", master)
	}
}

func TestStalledMasterListensWhateverHappensFirst(t *testing.T) {
	cfg := config(200)
	for name, ev := range map[string]Event{
		"configuration": {Kind: EventConfigure, Config: &cfg},
		"source":        {Kind: EventSource, From: gamma},
	} {
		b := mastered(t, config(128))
		b.now = b.now.Add(5 * time.Second)
		t.Log(name)
		b.want(b.step(ev), "master to backup: own silence outlasted the peer's patience")
	}
}

func TestLeavingTwice(t *testing.T) {
	b := mastered(t, config(128))
	b.step(Event{Kind: EventStop, Reason: ReasonRemoved})
	b.hear(alpha, 100)
	b.want(b.sleep(time.Second), "leaving to init: successor heard")
	if master, _ := b.m.Master(); master != alpha {
		t.Errorf("master = %v, want the successor %v", master, alpha)
	}
	b.step(Event{Kind: EventStart, Reason: ReasonStart})
	if master, _ := b.m.Master(); master.IsValid() {
		t.Errorf("master = %v after a new start, want none", master)
	}
	b.sleep(3500 * time.Millisecond)
	b.step(Event{Kind: EventStop, Reason: ReasonRemoved})
	b.want(b.sleep(4*time.Second - 1))
	b.want(b.sleep(1), "leaving to init: no successor heard")
}

func TestLateSuccessorDoesNotProlongTheBound(t *testing.T) {
	b := mastered(t, config(128))
	b.step(Event{Kind: EventStop, Reason: ReasonShutdown})
	b.sleep(3950 * time.Millisecond)
	b.hear(alpha, 100)
	b.wantDeadline(50 * time.Millisecond)
}

func TestFaultForgetsTheMaster(t *testing.T) {
	b := started(t, config(128))
	b.hearEvery(alpha, 200, 2*time.Second)
	actions := b.m.Step(b.now, Event{Kind: EventFault, Reason: ReasonLinkDown})
	if got := actions[0].Transition; got.Master != (netip.Addr{}) || got.MasterInterval != time.Second {
		t.Errorf("transition = %+v, want no master and the own interval", got)
	}
}

func TestMastersIntervalFollowsItsConfiguration(t *testing.T) {
	b := mastered(t, config(128))
	cfg := config(128)
	cfg.Interval = 100 * time.Millisecond
	b.step(Event{Kind: EventConfigure, Config: &cfg})
	if _, got := b.m.Master(); got != 100*time.Millisecond {
		t.Errorf("interval of the master = %v, want 100ms", got)
	}
}
