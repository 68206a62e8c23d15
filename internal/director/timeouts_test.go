package director

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/ipvsctl"
)

func TestTimeoutsAreKeptAndRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := ipvsctl.Timeouts{TCP: 15 * time.Minute, TCPFin: 2 * time.Minute, UDP: 5 * time.Minute}
		n := alone(t, func(n *node) {
			n.config.Timeouts = config.Timeouts{TCP: time.Hour}
			n.host.timeouts = before
		})
		settle(election)
		want := before
		want.TCP = time.Hour
		check := func(when string) {
			t.Helper()
			if got, _ := n.host.Timeouts(t.Context()); got != want {
				t.Errorf("%s the timeouts are %v, want %v", when, got, want)
			}
		}
		check("as master")
		_ = n.host.SetTimeouts(t.Context(), ipvsctl.Timeouts{TCP: time.Second})
		settle(2 * sweepEvery)
		check("after somebody changed them")
		path := timeoutsPath(n.director.RunDir)
		defer n.end()
		if err := n.stopDirector(); err != nil {
			t.Fatal(err)
		}
		want = before
		check("after the end")
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("what was there before is still written down: %v", err)
		}
	})
}

func TestZeroIsForTheServicesOfTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := drainable(t)
		defer n.end()
		foreign := webKey
		foreign.Port = 8443
		meddle(t, n.host, ipvsctl.Op{Kind: ipvsctl.AddService, Service: ipvsctl.Service{Key: foreign, Scheduler: "rr"}})
		n.host.table.Replace(foreign, func(s *ipvsctl.LiveService) { s.Stats.Conns = 5 })
		n.host.table.Traffic(webKey, dest("12"), 7)
		_, last := n.events(0)
		ctx := control.WithCaller(t.Context(), func() control.Caller { return control.Caller{User: "alice"} })
		result, err := n.director.Zero(ctx, control.ZeroRequest{Service: "web"})
		if err != nil || len(result.Services) != 1 || result.Services[0].Before == nil || result.Services[0].Before.Connections != 7 || result.Services[0].Problem != "" {
			t.Fatalf("Zero = %+v, %v, want one service that had 7 connections", result, err)
		}
		live, err := n.host.table.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		web, _ := live.Find(webKey)
		other, _ := live.Find(foreign)
		if web.Stats.Conns != 0 || other.Stats.Conns != 5 {
			t.Errorf("the counters are %d and, of somebody else's service, %d; want 0 and 5", web.Stats.Conns, other.Stats.Conns)
		}
		n.wantEvents("the order", last, "operator zero: web, by alice")
		if _, err := n.director.Zero(ctx, control.ZeroRequest{Service: "wbe"}); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("zeroing an unknown service = %v, want %v", err, control.ErrInvalid)
		}
	})
}
