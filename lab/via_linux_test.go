package lab

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// awaitHealth waits until all services of a node judge a real server so.
func (p *pair) awaitHealth(n, real *Node, health, reason string) {
	p.t.Helper()
	p.must(Await(bound(p.t, patience), fmt.Sprintf("%s %s on %s", real.Name, health, n.Name), func(ctx context.Context) error {
		status, err := n.Status(ctx)
		if err != nil {
			return err
		}
		for _, s := range status.Services {
			for _, r := range s.Real {
				if r.Address.Addr() == real.Address && (r.Health != health || !strings.Contains(r.Reason, reason)) {
					return fmt.Errorf("%s is %s: %s, %s", r.Address, r.Health, r.Reason, r.Detail)
				}
			}
		}
		return nil
	}))
}

// TestChecksThroughTheVirtualAddress: the master, which holds the address, and the
// backup, which does not, both reach each real server through their own IPVS. A
// real server that has lost the address is found by that and named, though it
// answers at its own.
func TestChecksThroughTheVirtualAddress(t *testing.T) {
	testenv.IPVS(t)
	for _, forward := range forwards {
		t.Run(forward, func(t *testing.T) {
			spec := forwarded(forward)
			spec.Lab.CheckVIP = true
			p := newPair(t, spec)
			rs1, rs2 := p.Node("rs1"), p.Node("rs2")
			for _, n := range []*Node{p.d1, p.d2} {
				p.awaitHealth(n, rs1, "up", "")
				p.awaitHealth(n, rs2, "up", "")
			}
			p.served("rs1", "rs2")
			if forward == ForwardNAT {
				return
			}
			p.must(rs1.RemoveRealServer(bound(t, patience)))
			for _, n := range []*Node{p.d1, p.d2} {
				p.awaitHealth(n, rs1, "down", "virtual address not served")
				p.awaitHealth(n, rs2, "up", "")
			}
			p.must(p.d1.AwaitPool(bound(t, patience), 1))
			p.must(rs1.ApplyRealServer(bound(t, patience)))
			p.must(p.d1.AwaitPool(bound(t, patience), 2))
			p.must(p.d1.StopDirector(bound(t, patience)))
			p.must(p.d1.Do(func() error {
				table, err := os.ReadFile("/proc/thread-self/net/ip_vs")
				if strings.Contains(string(table), "FWM") {
					t.Errorf("the stopped director has left services:\n%s", table)
				}
				return err
			}))
		})
	}
}
