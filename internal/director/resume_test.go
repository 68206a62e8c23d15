package director

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
)

// TestASlowStartGoesOnAfterACrash: the new director knows from checker and kernel
// how far it had come.
func TestASlowStartGoesOnAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const length = 60 * time.Second
		n := alone(t, func(n *node) {
			n.config = pairConfig("lvs1")
			n.config.Services[0].Pool.SlowStart = length
		})
		defer n.end()
		settle(election)
		n.judge(web1, healthcheck.Up)
		settle(length + time.Second)
		n.judge(web2, healthcheck.Up)
		weight := func() uint32 {
			t.Helper()
			live, err := n.host.table.Read(t.Context())
			if err != nil || len(live) != 1 || len(live[0].Dests) != 2 || live[0].Dests[0].Weight != 100 {
				t.Fatalf("the table is %+v, %v, want two servers, the first with 100", live, err)
			}
			return live[0].Dests[1].Weight
		}
		settle(15 * time.Second)
		before := weight()
		if before < 40 || before > 60 {
			t.Fatalf("after a quarter of its ramp the weight is %d of 200", before)
		}
		n.killDirector()
		n.startDirector()
		settle(3 * time.Second)
		if now := weight(); now < before || now > before+20 {
			t.Errorf("after the crash the weight is %d, want it to go on from %d", now, before)
		}
		settle(length)
		if now := weight(); now != 200 {
			t.Errorf("after the ramp the weight is %d, want 200", now)
		}
	})
}
