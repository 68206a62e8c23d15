package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// RFC 9568, 6.4.3: "If the Adver_Timer fires, then: Send an ADVERTISEMENT; Reset
// the Adver_Timer to Advertisement_Interval." The own interval, also after
// another one was learned as Backup.
func TestMasterAdvertisesEveryOwnInterval(t *testing.T) {
	b := started(t, config(128))
	b.hearEvery(alpha, 200, 4*time.Second)
	b.want(b.sleep(14*time.Second), "send 128", "backup to master: master silent")
	b.want(b.sleep(time.Second - 1))
	b.want(b.sleep(1), "send 128")
	b.want(b.sleep(3*time.Second), "send 128", "send 128", "send 128")
}

// Being late does not add up: the rhythm is kept.
func TestLateAdvertKeepsTheRhythm(t *testing.T) {
	b := mastered(t, config(128)) // 10 ms after the takeover
	b.want(b.stall(1090*time.Millisecond), "send 128")
	b.wantDeadline(900 * time.Millisecond)
	b.want(b.stall(2500*time.Millisecond), "send 128") // one rhythm is lost
	b.wantDeadline(time.Second)
}

// RFC 9568, 6.4.3: "If the Priority in the ADVERTISEMENT is 0, then: Send an
// ADVERTISEMENT; Reset the Adver_Timer to Advertisement_Interval."
func TestMasterAnswersPriorityZero(t *testing.T) {
	b := mastered(t, config(100))
	b.sleep(300 * time.Millisecond)
	b.want(b.hear(alpha, 0), "send 100")
	b.wantDeadline(time.Second)
	b.wantState(Master)
}

// RFC 9568, 6.4.3: "If the Priority in the ADVERTISEMENT is greater than the local
// Priority or ... equal to the local Priority and the primary IPvX address of the
// sender is greater than the local primary IPvX address ... then: Cancel
// Adver_Timer; Set Active_Adver_Interval to Max Advertise Interval contained in the
// ADVERTISEMENT; Recompute the Skew_Time; Recompute the Active_Down_Interval; Set
// Active_Down_Timer to Active_Down_Interval; Transition to the {Backup} state."
// Without an advert of priority 0, and after a last one of the own priority: a
// deviation.
func TestMasterYields(t *testing.T) {
	for _, test := range []struct {
		name     string
		from     netip.Addr
		priority uint8
		want     string
	}{
		{"to a higher priority", alpha, 129, "master to backup: higher priority heard"},
		{"to a higher address", gamma, 128, "master to backup: equal priority, higher address heard"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := mastered(t, config(128))
			b.want(b.hearEvery(test.from, test.priority, 2*time.Second), "send 128", test.want)
			b.wantDeadline(7 * time.Second)
			if master, interval := b.m.Master(); master != test.from || interval != 2*time.Second {
				t.Errorf("master = %v every %v, want %v every 2s", master, interval, test.from)
			}
		})
	}
}

// "unsigned integer comparison of the IPvX addresses in network byte order"
func TestTieComparesAddressesUnsignedInNetworkOrder(t *testing.T) {
	for from, yields := range map[string]bool{
		"198.51.100.3":  true,
		"198.51.101.1":  true,
		"200.0.0.0":     true, // negative as a signed number
		"198.51.100.1":  false,
		"198.51.99.255": false,
		"10.255.255.3":  false,
	} {
		b := mastered(t, config(100))
		b.hear(netip.MustParseAddr(from), 100)
		if state, _, _ := b.m.State(); (state == Backup) != yields {
			t.Errorf("after a tie with %s: %v, yields should be %v", from, state, yields)
		}
	}
}

// RFC 9568, 6.4.3: "Else: Discard the ADVERTISEMENT and immediately send an
// ADVERTISEMENT to assert {Active} state to the sending VRRP router and to update
// any learning bridges with the correct {Active} VRRP router path."
func TestMasterAssertsItselfAgainstALowerPriority(t *testing.T) {
	b := mastered(t, config(100))
	b.sleep(300 * time.Millisecond)
	b.want(b.hear(gamma, 99), "send 100", "master to master: second master heard, staying master")
	b.wantDeadline(time.Second)
	b.wantState(Master)
}

// Preempt_Mode has no say in Master state by the RFC, so a peer that does not know of
// seniority is given way to after a while.
func TestMasterWithoutPreemptionYieldsToWhoGoesOnLikeThat(t *testing.T) {
	cfg := config(100)
	cfg.Preempt = false
	b := mastered(t, cfg)
	b.want(b.hear(alpha, 101), "master to master: second master heard, staying master")
	for range 2 {
		b.sleep(time.Second)
		b.hear(alpha, 101)
		b.wantState(Master)
	}
	b.sleep(time.Second)
	b.want(b.hear(alpha, 101), "send 100", "master to backup: higher priority heard")
}

// One that is heard again much later is another meeting.
func TestMasterWithoutPreemptionHoldsOutInEachMeeting(t *testing.T) {
	cfg := config(100)
	cfg.Preempt = false
	b := mastered(t, cfg)
	for range 3 {
		b.hear(alpha, 101)
		b.wantState(Master)
		b.sleep(4 * time.Second)
	}
}

// An owner preempts whatever Preempt_Mode says.
func TestMasterWithoutPreemptionYieldsToTheOwner(t *testing.T) {
	cfg := config(100)
	cfg.Preempt = false
	b := mastered(t, cfg)
	b.want(b.hear(alpha, 255), "send 100", "master to backup: higher priority heard")
}

// displacing returns a master that took over from alpha, which had fallen silent.
func displacing(t *testing.T, cfg RouterConfig) *bench {
	b := started(t, cfg)
	b.hear(alpha, 99)
	b.sleep(cfg.MasterDownInterval(cfg.Interval))
	b.wantState(Master)
	return b
}

func TestMasterWithoutPreemptionGivesBackToWhomItDisplaced(t *testing.T) {
	cfg := config(100)
	cfg.Preempt = false
	b := displacing(t, cfg)
	// It answers, so that one that does not know of seniority gives way at once.
	b.sleep(300 * time.Millisecond)
	b.want(b.hear(alpha, 99), "send 100", "master to master: second master heard, staying master")
	b.sleep(499 * time.Millisecond)
	b.hear(alpha, 99)
	b.wantState(Master)
	b.sleep(time.Millisecond)
	b.want(b.hear(alpha, 99), "send 100", "master to backup: the earlier master is back")
	b.wantDeadline(cfg.MasterDownInterval(cfg.Interval))
}

// Only the one that was displaced was master before, and only without preemption
// does that count.
func TestMasterStaysAgainstALesserOneThatItDidNotDisplace(t *testing.T) {
	keep := config(100)
	keep.Preempt = false
	owner := config(255)
	owner.Preempt = false
	for name, test := range map[string]struct {
		cfg  RouterConfig
		from netip.Addr
	}{
		"another one":     {keep, gamma},
		"with preemption": {config(100), alpha},
	} {
		t.Run(name, func(t *testing.T) {
			b := displacing(t, test.cfg)
			for range 5 {
				b.hear(test.from, 99)
				b.sleep(time.Second)
			}
			b.wantState(Master)
		})
	}
}

// Nobody can make a master send more often than every 10 ms, and what is held
// back is sent then.
func TestAnswersAreSpaced(t *testing.T) {
	b := mastered(t, config(100))
	b.want(b.hear(alpha, 0), "send 100")
	for range 100 {
		b.want(b.hear(alpha, 0))
	}
	b.wantDeadline(10 * time.Millisecond)
	b.want(b.sleep(10*time.Millisecond), "send 100")
}

// A second master is reported at once, and then no more than once a second.
func TestSecondMasterIsReportedOnceASecond(t *testing.T) {
	b := mastered(t, config(100))
	reports := 0
	for range 40 { // 2 s
		for _, word := range b.hear(alpha, 50) {
			if word == "master to master: second master heard, staying master" {
				reports++
			}
		}
		b.sleep(50 * time.Millisecond)
	}
	if reports != 2 {
		t.Errorf("%d reports in 2 s, want 2", reports)
	}
}

func TestReportOfASecondMasterNamesIt(t *testing.T) {
	b := mastered(t, config(100))
	actions := b.m.Step(b.now, Event{Kind: EventPacket, From: alpha, Packet: &Packet{VRID: 51, Priority: 1, Interval: time.Second}})
	if len(actions) != 2 || actions[1].Transition.Master != alpha {
		t.Fatalf("actions = %+v, want a transition with master %v", actions, alpha)
	}
	if master, _ := b.m.Master(); master != beta {
		t.Errorf("master = %v, want the own address %v", master, beta)
	}
}

// The owner stays against anything below 255 and against 255 of a lower address.
func TestOwnerStays(t *testing.T) {
	b := mastered(t, config(255))
	b.hear(gamma, 254)
	b.hear(alpha, 255)
	b.wantState(Master)
}

// RFC 9568, 6.4.3: "If a Shutdown event is received, then: Cancel the Adver_Timer;
// Send an ADVERTISEMENT with Priority = 0; Transition to the {Initialize} state."
// Here by way of Leaving.
func TestMasterResigns(t *testing.T) {
	b := mastered(t, config(100))
	b.want(b.step(Event{Kind: EventStop, Reason: ReasonShutdown}), "send 0", "master to leaving: shutdown")
	b.wantDeadline(4 * time.Second)
	b.want(b.sleep(4*time.Second), "leaving to init: no successor heard")
	b.want(b.sleep(time.Hour))
}

// A resigned master stays until the successor's first advert and a little longer.
func TestLeavingEndsAfterTheSuccessor(t *testing.T) {
	for interval, linger := range map[time.Duration]time.Duration{
		time.Second:           100 * time.Millisecond,
		50 * time.Millisecond: 50 * time.Millisecond,
	} {
		cfg := config(100)
		cfg.Interval = interval
		b := mastered(t, cfg)
		b.step(Event{Kind: EventStop, Reason: ReasonRemoved})
		b.sleep(interval / 2)
		b.want(b.hearEvery(alpha, 90, interval))
		b.wantDeadline(linger)
		b.sleep(linger / 2)
		b.hearEvery(alpha, 90, interval) // its second advert prolongs nothing
		b.want(b.sleep(linger/2), "leaving to init: successor heard")
	}
}

// Another router that resigns is no successor.
func TestLeavingIgnoresPriorityZero(t *testing.T) {
	b := mastered(t, config(100))
	b.step(Event{Kind: EventStop, Reason: ReasonShutdown})
	b.want(b.hear(alpha, 0))
	b.wantDeadline(4 * time.Second)
}

// A second Stop, or a start meanwhile, does not disturb the hand-over.
func TestLeavingIsNotDisturbed(t *testing.T) {
	b := mastered(t, config(100))
	b.step(Event{Kind: EventStop, Reason: ReasonRemoved})
	b.want(b.step(Event{Kind: EventStop, Reason: ReasonShutdown}))
	b.want(b.step(Event{Kind: EventStart, Reason: ReasonStart}))
	b.wantState(Leaving)
}

// Not RFC: the loser's last advert tells the winner that it had a rival, whatever
// the spacing of answers, and is not repeated.
func TestWinnerHearsTheLosersLastAdvert(t *testing.T) {
	loser, winner := mastered(t, config(100)), mastered(t, config(200))
	loser.want(loser.hear(alpha, 50), "send 100", "master to master: second master heard, staying master")
	loser.want(loser.hear(gamma, 200), "send 100", "master to backup: higher priority heard")
	loser.want(loser.hear(gamma, 200))
	winner.want(winner.hear(alpha, 100), "send 200", "master to master: second master heard, staying master")
}

// A master that was silent too long yields without a word: its successor may be
// anywhere, and the timers say that it is there.
func TestStalledMasterYieldsSilently(t *testing.T) {
	b := mastered(t, config(100))
	b.now = b.now.Add(5 * time.Second)
	b.want(b.hear(gamma, 200), "master to backup: own silence outlasted the peer's patience")
}
