package lab

import (
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// TestTwoMachinesAreDirectorsAndRealServersAtOnce plays a pair without any other
// machine: the master forwards to itself and to its backup, which has the VIP on
// lo. The roles change places, and neither undoes the other.
func TestTwoMachinesAreDirectorsAndRealServersAtOnce(t *testing.T) {
	testenv.IPVS(t)
	spec := dual(ForwardDR)
	spec.Lab.RealServers, spec.Lab.DirectorsServe = 0, true
	p := newPair(t, spec)
	serve := func(phase string, master *Node, owners ...string) {
		t.Helper()
		p.must(master.AwaitPool(bound(t, patience), 2))
		p.served("d1", "d2")
		p.owners(allowance, owners...)
		p.watchARP()
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
	for _, phase := range []string{"test", "roles exchanged", "and back", "without one"} {
		for _, stream := range p.udpStreams() {
			p.clean(p.report(reports, stream, phase))
		}
	}
	p.owners(0, "d1")
}
