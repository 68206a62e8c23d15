package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// RFC 9568, 6.4.1: "If a Startup event is received, then: ... Set
// Active_Adver_Interval to Advertisement_Interval; Set the Active_Down_Timer to
// Active_Down_Interval; Transition to the {Backup} state."
func TestStartupEntersBackup(t *testing.T) {
	b := newBench(t, config(200))
	b.want(b.sleep(time.Hour))
	b.want(b.step(Event{Kind: EventStart, Reason: ReasonStart}), "init to backup: start")
	b.wantDeadline(3218750 * time.Microsecond)
}

// RFC 9568, 6.4.1: "If the Priority = 255, i.e., the router owns the IPvX address
// associated with the Virtual Router: Send an ADVERTISEMENT; ... Set the
// Adver_Timer to Advertisement_Interval; Transition to the {Active} state."
func TestStartupOfTheOwnerEntersMaster(t *testing.T) {
	b := newBench(t, config(255))
	b.want(b.step(Event{Kind: EventStart, Reason: ReasonStart}), "send 255", "init to master: address owner")
	b.wantDeadline(time.Second)
}

// RFC 9568, 6.4.2: "If the Active_Down_Timer fires, then: Send an ADVERTISEMENT;
// ... Set the Adver_Timer to Advertisement_Interval; Transition to the {Active}
// state." The advert comes first.
func TestBackupTakesOverFromASilentMaster(t *testing.T) {
	b := started(t, config(100))
	b.want(b.sleep(3609375*time.Microsecond - 1))
	b.want(b.sleep(1), "send 100", "backup to master: master silent")
	b.wantDeadline(time.Second)
}

// RFC 9568, 6.4.2: "If the Priority in the ADVERTISEMENT is 0, then: Set the
// Active_Down_Timer to Skew_Time."
func TestBackupWaitsSkewTimeAfterPriorityZero(t *testing.T) {
	b := started(t, config(150))
	b.hear(alpha, 200)
	b.sleep(300 * time.Millisecond)
	b.want(b.hear(alpha, 0))
	b.wantDeadline(414062500)
	b.want(b.sleep(414062500), "send 150", "backup to master: master resigned")
}

// RFC 9568, 6.1: Skew_Time is calculated from Active_Adver_Interval, which is the
// resigning master's, not the own one.
func TestSkewTimeAfterPriorityZeroIsOfTheMastersInterval(t *testing.T) {
	b := started(t, config(128))
	b.hearEvery(alpha, 200, 4*time.Second)
	b.hearEvery(alpha, 0, 4*time.Second)
	b.wantDeadline(2 * time.Second)
}

// A new master between priority 0 and the end of the skew keeps the peace.
func TestAdvertAfterPriorityZeroIsFollowed(t *testing.T) {
	b := started(t, config(150))
	b.hear(alpha, 0)
	b.sleep(100 * time.Millisecond)
	b.want(b.hear(gamma, 200))
	b.wantDeadline(3414062500)
	b.want(b.sleep(3414062500), "send 150", "backup to master: master silent")
}

// RFC 9568, 6.4.2: "If Preempt_Mode is False, or if the Priority in the
// ADVERTISEMENT is greater than or equal to the local Priority, then: ... Reset the
// Active_Down_Timer to Active_Down_Interval."
func TestBackupFollows(t *testing.T) {
	for _, test := range []struct {
		name     string
		preempt  bool
		priority uint8
	}{
		{"a higher priority", true, 101},
		{"an equal priority", true, 100},
		{"a lower priority without preemption", false, 99},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := config(100)
			cfg.Preempt = test.preempt
			b := started(t, cfg)
			b.sleep(3 * time.Second)
			b.want(b.hear(alpha, test.priority))
			b.wantDeadline(3609375 * time.Microsecond)
			if master, _ := b.m.Master(); master != alpha {
				t.Errorf("master = %v, want %v", master, alpha)
			}
		})
	}
}

// "greater than or equal": equal priority holds whatever the address, also that
// of a router with a lower address than ours.
func TestBackupFollowsEqualPriorityOfAnyAddress(t *testing.T) {
	for _, from := range []netip.Addr{alpha, gamma} {
		b := started(t, config(100))
		b.sleep(time.Second)
		b.hear(from, 100)
		b.wantDeadline(3609375 * time.Microsecond)
	}
}

// RFC 9568, 6.4.2: "Set Active_Adver_Interval to Max Advertise Interval contained
// in the ADVERTISEMENT; Recompute the Skew_Time; Recompute the
// Active_Down_Interval"
func TestBackupAdoptsTheMastersInterval(t *testing.T) {
	b := started(t, config(128))
	b.hearEvery(alpha, 200, 100*time.Millisecond)
	b.wantDeadline(350 * time.Millisecond)
	b.hearEvery(alpha, 200, 4*time.Second)
	b.wantDeadline(14 * time.Second)
	if _, interval := b.m.Master(); interval != 4*time.Second {
		t.Errorf("Active_Adver_Interval = %v, want 4s", interval)
	}
}

// RFC 9568, 6.4.2: "Else (Preempt_Mode is True and lower Priority): Discard the
// ADVERTISEMENT." The timer is not reset, so the takeover comes within
// Active_Down_Interval.
func TestBackupPreemptsALowerPriority(t *testing.T) {
	b := started(t, config(200))
	for range 3 {
		b.want(b.sleep(time.Second))
		b.want(b.hear(alpha, 100))
	}
	if master, _ := b.m.Master(); master != alpha {
		t.Errorf("master = %v: who is master is known all the same, want %v", master, alpha)
	}
	b.want(b.sleep(218750*time.Microsecond - 1))
	b.want(b.sleep(1), "send 200", "backup to master: master silent")
}

// The interval of an advert that is discarded is not adopted.
func TestDiscardedAdvertChangesNoInterval(t *testing.T) {
	b := started(t, config(200))
	b.hearEvery(alpha, 100, 40*time.Second)
	b.wantDeadline(3218750 * time.Microsecond)
	if _, interval := b.m.Master(); interval != time.Second {
		t.Errorf("Active_Adver_Interval = %v, want 1s", interval)
	}
}

// Practice, not RFC: with a preempt delay a master of lower priority is left
// alone for that long, counted from its first advert.
func TestPreemptDelay(t *testing.T) {
	cfg := config(200)
	cfg.PreemptDelay = 10 * time.Second
	b := started(t, cfg)
	for range 10 { // at 0 s..9 s
		b.want(b.hear(alpha, 100))
		b.wantDeadline(3218750 * time.Microsecond)
		b.want(b.sleep(time.Second))
	}
	// From 10 s on adverts are discarded; the last one that counted came at 9 s.
	b.want(b.hear(alpha, 100))
	b.wantDeadline(2218750 * time.Microsecond)
	b.sleep(time.Second)
	b.hear(alpha, 100)
	b.want(b.sleep(1218750*time.Microsecond), "send 200", "backup to master: master silent")
}

// The delay is for a living master only, and starts again with the next one.
func TestPreemptDelayDoesNotProlongAnOutage(t *testing.T) {
	cfg := config(200)
	cfg.PreemptDelay = time.Minute
	b := started(t, cfg)
	b.want(b.sleep(3218750*time.Microsecond), "send 200", "backup to master: master silent")

	b = started(t, cfg)
	b.hear(alpha, 100)
	b.sleep(time.Second)
	b.hear(gamma, 201) // a better master ends the delay
	b.sleep(time.Second)
	b.hear(alpha, 100)
	if got, want := b.m.preemptAt, b.now.Add(time.Minute); got != want {
		t.Errorf("preempt delay ends %v after start, want %v", got.Sub(b.start), want.Sub(b.start))
	}
}

// RFC 9568, 6.1: "the router that owns the IPvX address associated with the
// Virtual Router always preempts, independent of the setting of" Preempt_Mode.
func TestOwnerPreemptsWhateverPreemptModeSays(t *testing.T) {
	cfg := config(255)
	cfg.Preempt, cfg.PreemptDelay = false, time.Hour
	b := mastered(t, cfg)
	b.hear(gamma, 255) // Backup by the tie
	b.wantState(Backup)
	b.sleep(time.Second)
	b.hear(alpha, 254)
	b.wantDeadline(2003906250)
}

// RFC 9568, 6.4.2: "If a Shutdown event is received, then: Cancel the
// Active_Down_Timer; Transition to the {Initialize} state." Silently.
func TestBackupStopsSilently(t *testing.T) {
	b := started(t, config(100))
	b.want(b.step(Event{Kind: EventStop, Reason: ReasonShutdown}), "backup to init: shutdown")
	b.want(b.hear(alpha, 1))
	b.want(b.sleep(time.Hour))
	b.wantState(Init)
}

// A backup that overslept its timer by more than the master's interval cannot
// know whether the master was silent: it listens once more, but only once.
func TestBackupThatOversleptListensOnceMore(t *testing.T) {
	b := started(t, config(200))
	b.hear(alpha, 250)
	b.want(b.stall(10 * time.Second))
	b.wantDeadline(1218750 * time.Microsecond)
	b.want(b.stall(10*time.Second), "send 200", "backup to master: master silent")

	b = started(t, config(200))
	b.stall(10 * time.Second)
	b.want(b.hear(alpha, 250)) // it lives
	b.wantDeadline(3218750 * time.Microsecond)
	b.stall(10 * time.Second) // and may be overslept again
	b.wantState(Backup)
}

// A timer that is a little late takes over at once.
func TestBackupTakesOverLate(t *testing.T) {
	b := started(t, config(200))
	b.want(b.stall(4218750*time.Microsecond), "send 200", "backup to master: master silent")
}
