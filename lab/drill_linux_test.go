package lab

import (
	"context"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/lab/guest"
	"github.com/haldir-lb/haldir/lab/traffic"
)

// kills is how often each process is killed.
const kills = 10

func TestACrashOfOneProcessIsNoEvent(t *testing.T) {
	for _, interval := range []time.Duration{100 * time.Millisecond, time.Second} {
		for _, role := range []process.Role{process.Speaker, process.Director, process.Checker} {
			t.Run(string(role)+" at "+interval.String(), func(t *testing.T) {
				spec := DefaultSpec(ForwardNone)
				spec.Lab.Interval = Duration(interval)
				killDrill(t, spec, role)
			})
		}
	}
}

// killDrill kills a process of the master again and again under load. Nothing may
// be lost, no role may change, and the address has one owner throughout.
func killDrill(t *testing.T, spec Spec, role process.Role) {
	p := newPair(t, spec)
	before1, before2 := p.state(p.d1, "master"), p.state(p.d2, "backup")
	for range kills {
		p.kill(p.d1, role)
		p.grown(p.d1, role)
	}
	p.mark("after")
	p.served(p.answerers()...)
	after1, after2 := p.state(p.d1, "master"), p.state(p.d2, "backup")
	if !after1.Since.Equal(before1.Since) {
		t.Errorf("d1 is master since %v (%s), want since %v as before", after1.Since, after1.Reason, before1.Since)
	}
	if !after2.Since.Equal(before2.Since) {
		t.Errorf("d2 is backup since %v (%s), want since %v as before", after2.Since, after2.Reason, before2.Since)
	}
	p.holds(p.d1)
	status, err := p.d1.Status(bound(t, patience))
	p.must(err)
	for _, s := range status.Processes {
		want := 0
		if s.Role == string(role) {
			want = kills
		}
		if s.Restarts != want {
			t.Errorf("restarts of the %s = %d, want %d", s.Role, s.Restarts, want)
		}
	}
	reports := p.reports()
	for _, stream := range []string{"udp", "tcp"} {
		p.clean(p.report(reports, stream, "test"))
		p.clean(p.report(reports, stream, "after"))
	}
	p.owners(0, "d1")
}

// answerers are who answers the client while all is well.
func (p *pair) answerers() []string {
	if p.Spec.Lab.Forward == ForwardNone {
		return []string{"d1"}
	}
	var names []string
	for _, n := range p.servers() {
		names = append(names, n.Name)
	}
	return names
}

// allowance is what a takeover may take on top of its timers on a machine that is
// busy with other things. A guest under emulation has a share of such a machine.
var allowance = func() time.Duration {
	if _, inside := guest.Inside(); inside {
		return time.Second
	}
	return 250 * time.Millisecond
}()

// takeover checks an outage against the timers: a master dies at most one
// interval after its last advert.
func (p *pair) takeover(what string, got time.Duration) {
	p.t.Helper()
	most := p.Spec.MasterDown()
	least := most - p.Spec.Lab.Interval.D()
	if got < least-25*time.Millisecond || got > most+allowance {
		p.t.Errorf("%s = %v, want %v to %v by the timers, and at most %v more", what, got, least, most, allowance)
	}
}

func TestTheBackupTakesOverFromACrashedMachine(t *testing.T) {
	spec := DefaultSpec(ForwardNone)
	spec.Lab.IPv6 = true
	p := newPair(t, spec)
	check := p.crashes()
	check(p.reports())
}

// crashes has the master crash and return, under load.
func (p *pair) crashes() func([]traffic.Report) {
	p.t.Helper()
	p.watchARP()
	p.mark("crash")
	p.must(p.d1.Crash())
	after := p.answerers()
	if p.Spec.Lab.Forward == ForwardNone {
		after = []string{"d2"}
	}
	p.served(after...)
	p.state(p.d2, "master")
	p.mark("return")
	p.must(p.d1.Reboot(bound(p.t, patience)))
	p.state(p.d1, "master")
	p.state(p.d2, "backup")
	p.served(p.answerers()...)
	p.holds(p.d1)
	p.mark("end")
	p.served(p.answerers()...)
	// The lesser master lets go when it has heard the better one.
	p.owners(allowance, "d1", "d2")
	return func(reports []traffic.Report) {
		for _, stream := range p.udpStreams() {
			p.takeover(stream+": outage by the crash", p.report(reports, stream, "crash").Gap.Duration)
			if r := p.report(reports, stream, "return"); r.Gap.Duration > allowance {
				p.t.Errorf("%s: gap when the better node came back = %v, want at most %v", stream, r.Gap.Duration, allowance)
			}
			p.clean(p.report(reports, stream, "end"))
		}
	}
}

func TestADeadNodesAddressIsTakenAwayBeforeAnythingElse(t *testing.T) {
	spec := DefaultSpec(ForwardNone)
	spec.Lab.Preempt = false
	p := newPair(t, spec)
	killed := time.Now()
	p.must(p.d1.KillAll())
	router := p.state(p.d2, "master")
	p.takeover("time from the kill to the takeover", router.Since.Sub(killed))
	// The dead node's kernel still has the address, and so has the new master's.
	p.holds(p.d1, p.d2)

	p.must(p.d1.StartDirector())
	p.must(Await(bound(t, patience), "d1 to answer", func(ctx context.Context) error {
		_, err := p.d1.Status(ctx)
		return err
	}))
	// Once it answers, it is long gone.
	if has, err := p.d1.Has(p.Spec.VIP()); has || err != nil {
		t.Errorf("d1 answers, and still has the address: %v, %v", has, err)
	}
	p.state(p.d1, "backup")
	p.holds(p.d2)
	// While two had the address the router may have believed either.
	p.calm()
	p.mark("after")
	p.served("d2")
	reports := p.reports()
	p.clean(p.report(reports, "udp", "after"))
}

func TestAPlannedStopLosesNothing(t *testing.T) {
	p := newPair(t, DefaultSpec(ForwardNone))
	p.must(p.d1.StopDirector(bound(t, patience)))
	p.served("d2")
	p.holds(p.d2)
	p.mark("return")
	p.must(p.d1.StartDirector())
	p.state(p.d1, "master")
	p.served("d1")
	reports := p.reports()
	p.clean(p.report(reports, "udp", "test"))
}

func TestAPartitionMakesTwoMastersAndItsEndOne(t *testing.T) {
	p := newPair(t, DefaultSpec(ForwardNone))
	p.must(p.Partition())
	p.state(p.d2, "master")
	p.state(p.d1, "master")
	p.must(p.Heal())
	healed := time.Now()
	p.state(p.d2, "backup")
	p.holds(p.d1)
	// The router believed the second master last, and Linux does not change its
	// mind about a neighbour within a second (neigh/locktime).
	p.served("d1")
	if took := time.Since(healed); took > 2*time.Second+allowance {
		t.Errorf("the remaining master was heard after %v, want at most %v", took, 2*time.Second+allowance)
	}
	p.mark("after")
	p.served("d1")
	reports := p.reports()
	p.clean(p.report(reports, "udp", "after"))
}
