package lab

import (
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// TestTwoMachinesAreDirectorsAndRealServersAtOnce plays a pair without any other
// machine: the master forwards to itself and to its backup, which has the VIP on
// lo. The roles change places, and neither undoes the other.
func TestTwoMachinesAreDirectorsAndRealServersAtOnce(t *testing.T) {
	testenv.IPVS(t)
	spec := forwarded(ForwardDR)
	spec.Lab.RealServers, spec.Lab.DirectorsServe = 0, true
	p := newPair(t, spec)
	serve := func(phase string, master *Node, owners ...string) {
		t.Helper()
		p.must(master.AwaitPool(bound(t, patience), 2))
		p.served("d1", "d2")
		p.owners(allowance, owners...)
		var err error
		p.arp, err = p.WatchARP(p.Spec.VIP(), 20*time.Millisecond)
		p.must(err)
		p.holds(master)
		for _, n := range p.servers() {
			p.must(n.VerifyRealServer(bound(t, patience)))
			if has, err := n.HasOn("lo", p.Spec.VIP()); err != nil || !has {
				t.Errorf("%s: %s has the address on lo: %v, %v", phase, n.Name, has, err)
			}
		}
	}
	serve("test", p.d1, "d1")
	p.mark("roles exchanged")
	p.must(p.d1.StopDirector(bound(t, patience)))
	p.state(p.d2, "master")
	serve("roles exchanged", p.d2, "d1", "d2")
	p.mark("and back")
	p.must(p.d1.StartDirector())
	p.state(p.d1, "master")
	serve("and back", p.d1, "d1", "d2")

	// The real server of the master leaves: its role as director stays.
	p.mark("refused meanwhile")
	p.must(p.d1.StopResponder(bound(t, patience)))
	p.must(p.d1.AwaitPool(bound(t, patience), 1))
	p.must(p.d1.RemoveRealServer(bound(t, patience)))
	p.mark("without one")
	p.served("d2")
	p.holds(p.d1)

	reports := p.reports()
	for _, phase := range []string{"test", "without one"} {
		p.clean(p.report(reports, "udp", phase))
	}
	// While both have the entries, which is for as long as it takes to write them, a
	// request may go from one to the other and back.
	for _, phase := range []string{"roles exchanged", "and back"} {
		if r := p.report(reports, "udp", phase); r.Gap.Duration > allowance {
			t.Errorf("%s: a gap of %v, want at most %v", phase, r.Gap.Duration, allowance)
		}
	}
	p.owners(0, "d1")
}
