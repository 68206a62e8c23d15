package vrrp

import (
	"testing"
	"time"
)

// RFC 9568, 6.4: losing the link is Shutdown, without an advert that could not
// leave, and its return is Startup: Backup first.
func TestFaultEndsEveryStateAtOnce(t *testing.T) {
	b := started(t, config(100))
	b.want(b.step(Event{Kind: EventFault, Reason: ReasonLinkDown}), "backup to init: link down")
	b.want(b.step(Event{Kind: EventFault, Reason: ReasonLinkDown}))
	b.want(b.sleep(time.Hour))
	b.want(b.step(Event{Kind: EventStart, Reason: ReasonLinkUp}), "init to backup: link up")

	b = mastered(t, config(100))
	b.want(b.step(Event{Kind: EventFault, Reason: ReasonNoSource}), "master to init: no source address")

	b = mastered(t, config(100))
	b.step(Event{Kind: EventStop, Reason: ReasonShutdown})
	b.want(b.step(Event{Kind: EventFault, Reason: ReasonLinkDown}), "leaving to init: link down")
}

// Until the link has settled, silence is no reason to take over. An advert, also one
// that is no reason to wait, is the proof that it has.
func TestBackupListensUntilTheLinkHasSettled(t *testing.T) {
	cfg := config(128)
	cfg.Interval = 100 * time.Millisecond // down after 350 ms
	begin := func() *bench {
		b := started(t, cfg)
		b.step(Event{Kind: EventFault, Reason: ReasonLinkDown})
		b.step(Event{Kind: EventStart, Reason: ReasonLinkUp, Settled: b.now.Add(time.Second)})
		b.wantDeadline(time.Second)
		return b
	}
	b := begin()
	b.sleep(100 * time.Millisecond)
	b.hearEvery(alpha, 100, cfg.Interval)
	b.wantDeadline(250 * time.Millisecond)

	b = begin()
	b.sleep(600 * time.Millisecond)
	b.hearEvery(alpha, 100, cfg.Interval)
	b.want(b.sleep(0), "send 128 100ms", "backup to master: master silent")

	b = begin()
	b.sleep(600 * time.Millisecond)
	b.hearEvery(alpha, 200, cfg.Interval)
	b.wantDeadline(350 * time.Millisecond)

	// The owner does not listen, and an interval that is long enough needs no more.
	b = started(t, config(255))
	b.step(Event{Kind: EventFault, Reason: ReasonLinkDown})
	b.step(Event{Kind: EventStart, Reason: ReasonLinkUp, Settled: b.now.Add(time.Hour)})
	b.wantState(Master)
	b = started(t, config(128))
	b.step(Event{Kind: EventFault, Reason: ReasonLinkDown})
	b.step(Event{Kind: EventStart, Reason: ReasonLinkUp, Settled: b.now.Add(time.Second)})
	b.wantDeadline(3500 * time.Millisecond)
}

// A master that was silent for longer than a backup waits listens for one down
// interval before it speaks.
func TestStalledMasterListensBeforeItSpeaks(t *testing.T) {
	for _, test := range []struct {
		silence time.Duration
		want    []string
	}{
		{3007812500, []string{"send 128"}},
		{3007812501, []string{"master to backup: own silence outlasted the peer's patience"}},
	} {
		b := started(t, config(128))
		b.sleep(3500 * time.Millisecond) // the takeover, and its advert, are now
		b.want(b.stall(test.silence), test.want...)
	}
	b := mastered(t, config(128))
	b.stall(5 * time.Second)
	b.wantDeadline(3500 * time.Millisecond)
	b.want(b.sleep(3500*time.Millisecond), "send 128", "backup to master: master silent")
}

// What a stalled master hears first finds it a Backup: it asserts nothing.
func TestStalledMasterHearsItsSuccessor(t *testing.T) {
	b := mastered(t, config(200))
	b.now = b.now.Add(5 * time.Second)
	b.want(b.hear(alpha, 100), "master to backup: own silence outlasted the peer's patience")
	b.wantDeadline(3218750 * time.Microsecond)

	cfg := config(200)
	cfg.Preempt = false
	b = mastered(t, cfg)
	b.now = b.now.Add(5 * time.Second)
	b.hear(alpha, 100)
	b.sleep(time.Second)
	b.hear(alpha, 100)
	b.wantState(Backup)
	b.wantDeadline(3218750 * time.Microsecond)
}

// The owner wins in any case.
func TestStalledOwnerGoesOn(t *testing.T) {
	b := mastered(t, config(255))
	b.want(b.stall(time.Minute), "send 255")
}

func TestResume(t *testing.T) {
	since := time.Date(2019, 12, 31, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name     string
		priority uint8
		resume   Resume
		want     []string
		deadline time.Duration
		since    bool
	}{
		{"master within the patience", 128, Resume{State: Master, Silent: 3 * time.Second},
			[]string{"send 128", "init to master: resumed after a crash"}, time.Second, true},
		{"master after the patience", 128, Resume{State: Master, Silent: 3007812500},
			[]string{"init to backup: own silence outlasted the peer's patience"}, 3500 * time.Millisecond, false},
		{"master, silent for unknown long", 128, Resume{State: Master},
			[]string{"init to backup: start"}, 3500 * time.Millisecond, false},
		{"owner after the patience", 255, Resume{State: Master, Silent: time.Hour},
			[]string{"send 255", "init to master: address owner"}, time.Second, false},
		{"backup with the interval it had learned", 128, Resume{State: Backup, Master: alpha, MasterInterval: 2 * time.Second},
			[]string{"init to backup: resumed after a crash"}, 7 * time.Second, true},
		{"backup that knew no master", 128, Resume{State: Backup},
			[]string{"init to backup: start"}, 3500 * time.Millisecond, false},
		{"leaving", 128, Resume{State: Leaving, Silent: time.Second},
			[]string{"send 0", "init to leaving: resumed after a crash"}, 4 * time.Second, true},
		{"init", 128, Resume{}, []string{"init to backup: start"}, 3500 * time.Millisecond, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, config(test.priority))
			test.resume.Since = since
			b.want(b.step(Event{Kind: EventResume, Resume: &test.resume}), test.want...)
			b.wantDeadline(test.deadline)
			if _, got, _ := b.m.State(); got.Equal(since) != test.since {
				t.Errorf("since = %v, from the earlier process: want %v", got, test.since)
			}
		})
	}
}

// The priority changes at run time (tracking) without a change of role.
func TestPriorityChangeAsMasterIsAdvertisedAtOnce(t *testing.T) {
	b := mastered(t, config(150))
	b.sleep(300 * time.Millisecond)
	lower := config(90)
	b.want(b.step(Event{Kind: EventConfigure, Config: &lower}), "send 90")
	b.wantDeadline(time.Second)
	b.want(b.hear(alpha, 100), "send 90", "master to backup: higher priority heard")
}

func TestPriorityChangeAsBackupMovesTheSkew(t *testing.T) {
	b := started(t, config(128))
	b.hear(alpha, 200)
	b.sleep(time.Second)
	higher := config(192)
	b.want(b.step(Event{Kind: EventConfigure, Config: &higher}))
	b.wantDeadline(2250 * time.Millisecond)
}

func TestIntervalChange(t *testing.T) {
	faster := config(128)
	faster.Interval = 100 * time.Millisecond
	b := mastered(t, config(128))
	b.want(b.step(Event{Kind: EventConfigure, Config: &faster}), "send 128 100ms")
	b.wantDeadline(100 * time.Millisecond)

	b = started(t, config(128)) // nobody heard: the own interval counts
	b.step(Event{Kind: EventConfigure, Config: &faster})
	b.wantDeadline(350 * time.Millisecond)

	b = started(t, config(128)) // the master's interval counts
	b.hear(alpha, 200)
	b.step(Event{Kind: EventConfigure, Config: &faster})
	b.wantDeadline(3500 * time.Millisecond)
}

func TestConfigurationWithoutEffectOnTheWireSendsNothing(t *testing.T) {
	b := mastered(t, config(128))
	cfg := config(128)
	cfg.Preempt, cfg.PreemptDelay = false, time.Second
	b.want(b.step(Event{Kind: EventConfigure, Config: &cfg}))
	b.wantDeadline(990 * time.Millisecond)
}

func TestSourceChange(t *testing.T) {
	b := mastered(t, config(128))
	b.want(b.step(Event{Kind: EventSource, From: gamma}), "send 128")
	b.want(b.step(Event{Kind: EventSource, From: gamma}))
	if master, _ := b.m.Master(); master != gamma {
		t.Errorf("master = %v, want the new own address %v", master, gamma)
	}
	b = started(t, config(128))
	b.want(b.step(Event{Kind: EventSource, From: gamma}))
	b.wantDeadline(3500 * time.Millisecond)
}

// Messages that were returned stay as they were, because they are sent later.
func TestMessagesAreNotOverwritten(t *testing.T) {
	b := mastered(t, config(128))
	first := b.m.Step(b.now, Event{Kind: EventPacket, From: alpha, Packet: &Packet{Interval: time.Second}})[0].Message
	before := string(first)
	cfg := config(90)
	b.step(Event{Kind: EventConfigure, Config: &cfg})
	if string(first) != before {
		t.Error("a configuration change overwrote a message")
	}
}

func TestEarlyAdvanceDoesNothing(t *testing.T) {
	b := started(t, config(128))
	b.want(b.stall(time.Second))
	b.wantDeadline(2500 * time.Millisecond)
}

func TestMachineDoesNotAllocate(t *testing.T) {
	master := mastered(t, config(128))
	backup := started(t, config(128))
	lower, higher := &Packet{Priority: 1, Interval: time.Second}, &Packet{Priority: 200, Interval: time.Second}
	now := master.now
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Second)
		master.m.Advance(now)
		master.m.Step(now, Event{Kind: EventPacket, From: alpha, Packet: lower})
		backup.m.Step(now, Event{Kind: EventPacket, From: alpha, Packet: higher})
		backup.m.Advance(now)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkMachineAdvance(b *testing.B) {
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	m := NewMachine(config(255), beta, now)
	m.Step(now, Event{Kind: EventStart, Reason: ReasonStart})
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		if len(m.Advance(now)) != 1 {
			b.Fatal("no advert")
		}
	}
}

func BenchmarkMachineReceive(b *testing.B) {
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	m := NewMachine(config(100), beta, now)
	m.Step(now, Event{Kind: EventStart, Reason: ReasonStart})
	p := &Packet{VRID: 51, Priority: 200, Interval: time.Second}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		m.Step(now, Event{Kind: EventPacket, From: alpha, Packet: p})
	}
}
