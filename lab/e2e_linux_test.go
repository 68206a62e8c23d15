package lab

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/lab/guest"
	"github.com/haldir-lb/haldir/lab/traffic"
)

var forwards = []string{ForwardDR, ForwardTUN, ForwardNAT}

// forwarded is a lab whose load a guest kernel under emulation bears with time to
// spare: on such, a packet costs more than the rest of a request on bare metal. A
// client that cannot keep its pace starves the very processes that it watches.
func forwarded(forward string) Spec {
	spec := DefaultSpec(forward)
	spec.Client.UDP, spec.Client.TCP = 500, 20
	if _, inside := guest.Inside(); inside {
		spec.Client.UDP, spec.Client.TCP, spec.Client.Timeout = 100, 5, Duration(3*time.Second)
		spec.Lab.Interval, spec.Lab.CheckEvery = Duration(500*time.Millisecond), Duration(time.Second)
	}
	return spec
}

// forEachForward runs a story with every way of forwarding.
func forEachForward(t *testing.T, story func(*testing.T, string)) {
	testenv.IPVS(t)
	for _, forward := range forwards {
		t.Run(forward, func(t *testing.T) { story(t, forward) })
	}
}

func TestRequestsAreForwarded(t *testing.T) {
	forEachForward(t, func(t *testing.T, forward string) {
		p := newPair(t, forwarded(forward))
		for _, n := range p.Nodes(KindReal) {
			p.must(n.VerifyRealServer(bound(t, patience)))
		}
		replies, err := p.WatchReplies(p.Spec.VIP())
		p.must(err)
		p.served("rs1", "rs2")
		origins, err := replies.Stop()
		p.must(err)
		p.replyPath(origins)

		reports := p.reports()
		udp := p.report(reports, "udp", "test")
		p.clean(udp)
		p.clean(p.report(reports, "tcp", "test"))
		p.hops(udp)
		// Real servers that hold the address on lo or tunl0 stay silent.
		p.owners(0, "d1")
		for _, n := range p.Nodes(KindReal) {
			has, err := n.Has(p.Spec.VIP())
			p.must(err)
			if has != (forward != ForwardNAT) {
				t.Errorf("%s has the virtual address = %v with %s", n.Name, has, forward)
			}
		}
	})
}

// replyPath checks which stations put the replies on the segment: the real
// servers themselves, with the time to live that Linux begins with, or with NAT
// the master alone, one hop further.
func (p *pair) replyPath(origins map[Origin]int) {
	p.t.Helper()
	want := []Origin{{"rs1", 64}, {"rs2", 64}}
	if p.Spec.Lab.Forward == ForwardNAT {
		want = []Origin{{"d1", 63}}
	}
	for origin, n := range origins {
		if !slices.Contains(want, origin) {
			p.t.Errorf("%d replies came from %+v, want them from %+v alone", n, origin, want)
		}
	}
	for _, origin := range want {
		if origins[origin] == 0 {
			p.t.Errorf("no reply came from %+v: %v", origin, origins)
		}
	}
}

// hops checks the same at the client: a reply that came directly has passed one
// router, one that passed the director has one hop more behind it.
func (p *pair) hops(r traffic.Report) {
	p.t.Helper()
	want := uint8(63)
	if p.Spec.Lab.Forward == ForwardNAT {
		want = 62
	}
	for _, s := range r.Servers {
		if s.TTLs[want] != s.Answered {
			p.t.Errorf("times to live of the replies by %s = %v, want %d", s.Name, s.TTLs, want)
		}
	}
}

func TestTheServiceSurvivesACrashedDirector(t *testing.T) {
	forEachForward(t, func(t *testing.T, forward string) {
		crashAndReturn(newPair(t, forwarded(forward)))
	})
}

func TestADeadRealServerLeavesThePoolAndReturns(t *testing.T) {
	forEachForward(t, func(t *testing.T, forward string) {
		p := newPair(t, forwarded(forward))
		rs1 := p.Node("rs1")
		p.must(rs1.Cut())
		p.must(p.d1.AwaitPool(bound(t, patience), 1))
		p.calm()
		p.mark("without")
		p.served("rs2")
		p.mark("return")
		p.must(rs1.Restore())
		p.served("rs1", "rs2")
		p.mark("end")
		p.served("rs1", "rs2")
		reports := p.reports()

		death := p.report(reports, "udp", "test")
		if len(death.Episodes) == 0 {
			t.Fatal("nothing was lost: the real server was not dead")
		}
		first, last := death.Episodes[0], death.Episodes[len(death.Episodes)-1]
		trouble := last.Start.Add(last.Duration).Sub(first.Start)
		if most := p.Spec.RemovalFloor() + allowance; trouble > most {
			t.Errorf("requests were lost for %v, want at most %v", trouble, most)
		}
		// One in two goes to the dead one, none of the others is harmed.
		if others := death.Server("rs2").Answered; others < death.Failed() {
			t.Errorf("%d requests were lost and rs2 answered %d, want it to do its half", death.Failed(), others)
		}
		for _, phase := range []string{"without", "return", "end"} {
			p.clean(p.report(reports, "udp", phase))
		}
		without := p.report(reports, "udp", "without")
		if without.Server("rs1").Answered != 0 {
			t.Errorf("while it was dead rs1 answered %d", without.Server("rs1").Answered)
		}
		p.owners(0, "d1")
	})
}

func TestACrashOfOneProcessIsNoEventWithIPVS(t *testing.T) {
	testenv.IPVS(t)
	for _, role := range []process.Role{process.Speaker, process.Director, process.Checker} {
		t.Run(string(role), func(t *testing.T) {
			spec := forwarded(ForwardDR)
			// A process that starts under emulation outlasts the peer's patience at
			// shorter intervals.
			spec.Lab.Interval = Duration(time.Second)
			killDrill(t, spec, role)
		})
	}
}

// TestRealServersAreLeftAsTheyWere undoes the set-up and compares what the kernel
// has with what it had.
func TestRealServersAreLeftAsTheyWere(t *testing.T) {
	forEachForward(t, func(t *testing.T, forward string) {
		c := newCluster(t, DefaultSpec(forward), Options{Haldir: haldirBinary(t)})
		rs1 := c.Node("rs1")
		ctx := bound(t, patience)
		// A value that is not the default must come back too.
		if err := rs1.ns.sysctl([2]string{"net/ipv4/conf/all/arp_announce", "1"}); err != nil {
			t.Fatal(err)
		}
		before := hostState(t, rs1)
		if err := rs1.ApplyRealServer(ctx); err != nil {
			t.Fatal(err)
		}
		if during := hostState(t, rs1); during == before {
			t.Errorf("applying changed nothing:\n%s", during)
		}
		if err := rs1.RemoveRealServer(ctx); err != nil {
			t.Fatal(err)
		}
		if after := hostState(t, rs1); after != before {
			t.Errorf("after the removal:\n%s\nwant as before:\n%s", after, before)
		}
	})
}

// hostState prints what a real server's set-up may change.
func hostState(t *testing.T, n *Node) string {
	t.Helper()
	state := ""
	addresses, err := n.ns.links.AddrList(nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		state += fmt.Sprintf("address %d %s\n", a.LinkIndex, a.IPNet)
	}
	for _, key := range []string{
		"conf/all/arp_ignore", "conf/all/arp_announce", "conf/eth0/arp_ignore", "conf/eth0/arp_announce",
		"conf/all/accept_redirects", "conf/eth0/accept_redirects",
	} {
		state += fmt.Sprintf("%s = %s\n", key, readSysctl(t, n, "net/ipv4/"+key))
	}
	return state
}
