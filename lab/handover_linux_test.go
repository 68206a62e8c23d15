package lab

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/haldir-lb/haldir/internal/control"
)

// api is a client of the node's API.
func (p *pair) api(n *Node) *control.Client {
	return control.NewClient(filepath.Join(n.RunDir(), control.SocketName))
}

// lastWord ends the ARP watch after a planned hand-over and checks that caches end
// with the successor, whoever answered while both had the address: it announced
// itself after the last answer of the one that let go.
func (p *pair) lastWord(successor, former *Node) {
	p.t.Helper()
	report, err := p.arp.Stop()
	p.must(err)
	p.arp = nil
	owners := make(map[string]ARPOwner)
	for _, o := range report.Owners {
		owners[o.Node] = o
	}
	if owners[former.Name].Answers == 0 || owners[successor.Name].Gratuitous == 0 {
		p.t.Fatalf("ARP of the hand-over: %+v, want answers by %s and announcements by %s", report.Owners, former.Name, successor.Name)
	}
	if last, said := owners[former.Name].LastAnswer, owners[successor.Name].LastGratuitous; !said.After(last) {
		p.t.Errorf("%s answered ARP %v after the last announcement of %s", former.Name, last.Sub(said), successor.Name)
	}
	if len(owners) != 2 {
		p.t.Errorf("ARP of the hand-over: %+v, want %s and %s alone", report.Owners, former.Name, successor.Name)
	}
}

func TestAFailoverOnRequestLosesNothing(t *testing.T) {
	spec := DefaultSpec(ForwardNone)
	spec.Lab.IPv6 = true
	p := newPair(t, spec)
	ctx := bound(t, patience)
	result, err := p.api(p.d1).Failover(ctx, control.FailoverRequest{})
	p.must(err)
	if !result.Done {
		t.Fatalf("the hand-over: %+v", result)
	}
	// What is said to be done is done.
	for _, vip := range p.Spec.VIPs() {
		if has, err := p.d1.Has(vip); has || err != nil {
			t.Errorf("d1 still has %s: %v, %v", vip, has, err)
		}
	}
	if got := result.Handovers[0].To; got != p.d2.Address.String() {
		t.Errorf("handed over to %s, want %s", got, p.d2.Address)
	}
	p.served("d2")
	p.calm()
	p.lastWord(p.d2, p.d1)
	p.mark("back")
	result, err = p.api(p.d2).Failover(ctx, control.FailoverRequest{})
	p.must(err)
	if !result.Done {
		t.Fatalf("handing back: %+v", result)
	}
	p.served("d1")

	p.mark("maintenance")
	maintained, err := p.api(p.d1).Maintenance(ctx, control.MaintenanceRequest{On: true, Reason: "test"})
	p.must(err)
	if !maintained.Done {
		t.Fatalf("maintenance: %+v", maintained)
	}
	p.served("d2")
	p.must(p.d1.StopDirector(ctx))
	p.must(p.d1.StartDirector())
	p.must(Await(ctx, "d1 to answer", func(ctx context.Context) error {
		_, err := p.d1.Status(ctx)
		return err
	}))
	status, err := p.d1.Status(ctx)
	p.must(err)
	if m := status.Maintenance; m == nil || m.By.User != "root" || m.Reason != "test" {
		t.Errorf("maintenance after a restart: %+v", m)
	}
	_, err = p.api(p.d1).Maintenance(ctx, control.MaintenanceRequest{})
	p.must(err)
	p.state(p.d1, "master")
	p.served("d1")
	p.holds(p.d1)
	reports := p.reports()
	for _, phase := range []string{"test", "back", "maintenance"} {
		for _, stream := range p.Spec.streams() {
			p.clean(p.report(reports, stream, phase))
		}
	}
}
