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

// dual is such a lab with both families, which share the load.
func dual(forward string) Spec {
	spec := forwarded(forward)
	spec.Lab.IPv6 = true
	spec.Client.UDP, spec.Client.TCP = spec.Client.UDP/2, spec.Client.TCP/2
	return spec
}

// forEachForward runs a story with every way of forwarding.
func forEachForward(t *testing.T, story func(*testing.T, string)) {
	testenv.IPVS(t)
	for _, forward := range forwards {
		t.Run(forward, func(t *testing.T) { story(t, forward) })
	}
}

// TestServicesInEveryWayOfForwarding is one story a way, in both families at once:
// requests and replies take their paths, a real server dies and returns, the
// director crashes and returns.
func TestServicesInEveryWayOfForwarding(t *testing.T) {
	forEachForward(t, func(t *testing.T, forward string) {
		p := newPair(t, dual(forward))
		checks := []func([]traffic.Report){p.forwards(), p.losesRealServer(), p.crashes()}
		reports := p.reports()
		for _, check := range checks {
			check(reports)
		}
	})
}

// forwards watches the phase "test", in which all is well.
func (p *pair) forwards() func([]traffic.Report) {
	p.t.Helper()
	for _, n := range p.Nodes(KindReal) {
		p.must(n.VerifyRealServer(bound(p.t, patience)))
	}
	for _, vip := range p.Spec.VIPs() {
		replies, err := p.WatchReplies(vip)
		p.must(err)
		p.served("rs1", "rs2")
		origins, err := replies.Stop()
		p.must(err)
		p.replyPath(origins)
	}
	// Real servers that hold the address on lo or tunl0 stay silent.
	p.owners(0, "d1")
	for _, n := range p.Nodes(KindReal) {
		for _, vip := range p.Spec.VIPs() {
			has, err := n.Has(vip)
			p.must(err)
			if has != (p.Spec.Lab.Forward != ForwardNAT) {
				p.t.Errorf("%s has %s = %v with %s", n.Name, vip, has, p.Spec.Lab.Forward)
			}
		}
	}
	return func(reports []traffic.Report) {
		for _, stream := range p.Spec.streams() {
			p.clean(p.report(reports, stream, "test"))
		}
		for _, stream := range p.udpStreams() {
			p.hops(p.report(reports, stream, "test"))
		}
	}
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

// losesRealServer has rs1 die and return.
func (p *pair) losesRealServer() func([]traffic.Report) {
	p.t.Helper()
	p.watchARP()
	rs1 := p.Node("rs1")
	p.mark("death")
	p.must(rs1.Cut())
	p.must(p.d1.AwaitPool(bound(p.t, patience), 1))
	p.calm()
	p.mark("without")
	p.served("rs2")
	p.mark("its return")
	p.must(rs1.Restore())
	p.served("rs1", "rs2")
	p.owners(0, "d1")
	return func(reports []traffic.Report) {
		for _, stream := range p.udpStreams() {
			death := p.report(reports, stream, "death")
			if len(death.Episodes) == 0 {
				p.t.Fatalf("%s: nothing was lost: the real server was not dead", stream)
			}
			first, last := death.Episodes[0], death.Episodes[len(death.Episodes)-1]
			trouble := last.Start.Add(last.Duration).Sub(first.Start)
			if most := p.Spec.RemovalFloor() + allowance; trouble > most {
				p.t.Errorf("%s: requests were lost for %v, want at most %v", stream, trouble, most)
			}
			// One in two goes to the dead one, none of the others is harmed.
			if others := death.Server("rs2").Answered; others < death.Failed() {
				p.t.Errorf("%s: %d requests were lost and rs2 answered %d, want it to do its half", stream, death.Failed(), others)
			}
			for _, phase := range []string{"without", "its return"} {
				p.clean(p.report(reports, stream, phase))
			}
			if n := p.report(reports, stream, "without").Server("rs1").Answered; n != 0 {
				p.t.Errorf("%s: while it was dead rs1 answered %d", stream, n)
			}
		}
	}
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
