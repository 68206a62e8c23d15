package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/lab/traffic"
)

// patience is for what must happen, on a machine that may be slow and busy.
const patience = 60 * time.Second

// pair is a lab at work: d1 is master, d2 is backup, the client runs.
type pair struct {
	*Cluster
	t      *testing.T
	d1, d2 *Node
	client *ClientRun
	arp    *ARPWatch
}

// newPair starts a lab, waits until d1 is master and every request is answered,
// and begins the phase "test" of the account.
func newPair(t *testing.T, spec Spec) *pair {
	t.Helper()
	c := newCluster(t, spec, Options{Haldir: haldirBinary(t)})
	p := &pair{Cluster: c, t: t, d1: c.Node("d1"), d2: c.Node("d2")}
	ctx := bound(t, patience)
	p.must(c.StartServers(ctx))
	p.must(p.d1.StartDirector())
	p.state(p.d1, "master")
	p.must(p.d2.StartDirector())
	p.state(p.d2, "backup")
	if spec.Lab.Forward != ForwardNone {
		p.must(p.d1.AwaitPool(ctx, spec.pool()))
	}
	var err error
	p.client, err = c.StartClient(ctx, nil)
	p.must(err)
	p.calm()
	p.watchARP()
	p.mark("test")
	return p
}

// watchARP begins to ask who has the virtual address, unless that goes on.
func (p *pair) watchARP() {
	p.t.Helper()
	if p.arp != nil {
		return
	}
	var err error
	p.arp, err = p.WatchARP(p.Spec.VIP(), 20*time.Millisecond)
	p.must(err)
}

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) mark(phase string) {
	p.t.Helper()
	p.must(p.client.Mark(bound(p.t, patience), phase))
}

func (p *pair) state(n *Node, state string) control.RouterStatus {
	p.t.Helper()
	status, err := n.AwaitState(bound(p.t, patience), state)
	p.must(err)
	return status.Routers[0]
}

// calm waits until all requests of half a second in a row are answered, so that no
// trouble of before reaches into what follows.
func (p *pair) calm() {
	p.t.Helper()
	for _, stream := range p.udpStreams() {
		good := 0
		p.must(p.client.Until(bound(p.t, patience), stream, "half a second of answers", func(tick traffic.Tick) bool {
			if !answered(tick) {
				good = 0
				return false
			}
			good++
			return good == 5
		}))
	}
}

// udpStreams are the requests of each family.
func (p *pair) udpStreams() []string {
	return slices.DeleteFunc(p.Spec.streams(), func(name string) bool { return !strings.HasPrefix(name, "udp") })
}

// served waits until all requests of a tick are answered, by these alone.
func (p *pair) served(by ...string) {
	p.t.Helper()
	for _, stream := range p.udpStreams() {
		p.must(p.client.Until(bound(p.t, patience), stream, fmt.Sprintf("answers by %v alone", by), func(tick traffic.Tick) bool {
			for _, name := range by {
				if tick.Answered[name] == 0 {
					return false
				}
			}
			return answered(tick) && len(tick.Answered) == len(by)
		}))
	}
}

// holds checks which nodes' kernels have the virtual addresses.
func (p *pair) holds(want ...*Node) {
	p.t.Helper()
	p.must(Await(bound(p.t, patience), "the address to be where it belongs", func(context.Context) error {
		for _, n := range p.Nodes(KindDirector) {
			for _, vip := range p.Spec.VIPs() {
				has, err := n.HasOn(Interface, vip)
				if err != nil {
					return err
				}
				if wanted := slices.Contains(want, n); has != wanted {
					return fmt.Errorf("%s has %s: %v, want %v", n.Name, vip, has, wanted)
				}
			}
		}
		return nil
	}))
}

// kill kills one process and waits until its successor is at work: the node
// answers, with another process in the role.
func (p *pair) kill(n *Node, role process.Role) {
	p.t.Helper()
	old, err := n.Kill(role)
	p.must(err)
	p.must(Await(bound(p.t, patience), fmt.Sprintf("another %s on %s", role, n.Name), func(ctx context.Context) error {
		status, err := n.Status(ctx)
		if err != nil {
			return err
		}
		for _, s := range status.Processes {
			if s.Role == string(role) && s.PID != 0 && s.PID != old {
				return nil
			}
		}
		return errors.New("it is not there yet")
	}))
}

// grown waits until a process has lived for long enough for its death to be an
// accident: one that dies young again and again is a crash loop, to which the
// supervisor answers with delays.
func (p *pair) grown(n *Node, role process.Role) {
	p.t.Helper()
	const age = 400 * time.Millisecond
	p.must(Await(bound(p.t, patience), fmt.Sprintf("the %s on %s to be older than %v", role, n.Name, age), func(ctx context.Context) error {
		status, err := n.Status(ctx)
		if err != nil {
			return err
		}
		for _, s := range status.Processes {
			if s.Role == string(role) && s.PID != 0 && time.Since(s.Since) > age {
				return nil
			}
		}
		return errors.New("it is younger")
	}))
}

// reports ends the client.
func (p *pair) reports() []traffic.Report {
	p.t.Helper()
	reports, err := p.client.Stop(bound(p.t, patience))
	p.must(err)
	return reports
}

// report picks the account of a stream and phase.
func (p *pair) report(reports []traffic.Report, stream, phase string) traffic.Report {
	p.t.Helper()
	r, ok := Find(reports, stream, phase)
	if !ok || r.Sent == 0 {
		p.t.Fatalf("no account of %s in phase %s: %+v", stream, phase, reports)
	}
	p.t.Logf("%s, %s: sent %d, answered %d, lost %d, refused %d, reset %d, unsent %d; gap %v (at least %v); lateness %v",
		stream, phase, r.Sent, r.Answered, r.Lost, r.Refused, r.Reset, r.Unsent, r.Gap.Duration, r.Gap.AtLeast, r.Lateness.Max)
	return r
}

// owners ends the ARP watch and checks that these nodes, and nobody else, ever
// said that they have the address, and two at once for no longer than overlap.
func (p *pair) owners(overlap time.Duration, want ...string) {
	p.t.Helper()
	report, err := p.arp.Stop()
	p.must(err)
	p.arp = nil
	if n := len(report.Conflicts); n > 0 {
		if both := report.Conflicts[n-1].At.Sub(report.Conflicts[0].At); overlap == 0 || both > overlap {
			p.t.Errorf("two stations answered ARP for the address over %v, want %v at most: %v", both, overlap, report.Conflicts)
		}
	}
	var got []string
	for _, o := range report.Owners {
		if o.Answers > 0 {
			got = append(got, o.Node)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		p.t.Errorf("stations that answered ARP for the address = %v, want %v", got, want)
	}
	p.t.Logf("ARP: %d probes, %d unanswered, owners %v", report.Probes, report.Unanswered, got)
}

// clean checks that not one request of a phase failed.
func (p *pair) clean(r traffic.Report) {
	p.t.Helper()
	if r.Failed() != 0 {
		p.t.Errorf("%s: %d of %d requests failed, want none: %+v", r.Stream, r.Failed(), r.Sent, r.Episodes)
	}
}
