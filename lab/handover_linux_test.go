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
