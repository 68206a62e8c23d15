package director

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// drainable is a master with two servers that are up and a drain of a minute.
func drainable(t *testing.T) *node {
	n := alone(t, func(n *node) { n.config = drainConfig() })
	settle(time.Second)
	n.judge(web1, healthcheck.Up)
	n.judge(web2, healthcheck.Up)
	settle(election)
	n.host.did()
	return n
}

func drainConfig() *config.Config {
	c := pairConfig("lvs1")
	c.Services[0].Pool.Drain = time.Minute
	return c
}

func dest(last string) ipvsctl.DestKey {
	return ipvsctl.DestKey{Address: netip.MustParseAddr("192.0.2." + last), Port: 80}
}

// connections sets how many connections the kernel has to a server.
func (n *node) connections(to ipvsctl.DestKey, active uint32) {
	n.host.table.Replace(webKey, func(s *ipvsctl.LiveService) {
		for i := range s.Dests {
			if s.Dests[i].Key == to {
				s.Dests[i].ActiveConns = active
			}
		}
	})
}

func (n *node) order(action, real string) control.Server {
	n.t.Helper()
	ctx := control.WithCaller(n.t.Context(), func() control.Caller { return control.Caller{User: "alice"} })
	server, err := n.director.Order(ctx, control.Order{Action: action, Service: "web", Real: real, Reason: "a disk"})
	if err != nil {
		n.t.Fatal(err)
	}
	return server
}

const (
	zero2   = "ipvs updating destination 192.0.2.12:80 of service tcp 192.0.2.100:80"
	delete2 = "ipvs deleting destination 192.0.2.12:80 from service tcp 192.0.2.100:80"
	add2    = "ipvs adding destination 192.0.2.12:80 to service tcp 192.0.2.100:80"
)

func TestDrainWaitsForTheLastConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := drainable(t)
		defer n.end()
		n.connections(dest("12"), 1)
		server := n.order("drain", "192.0.2.12")
		if d := server.Draining(); d == nil || d.By != "alice" || d.Reason != "a disk" || !server.Changed || server.Weight != 0 || server.Active != 1 {
			t.Errorf("the answer is %+v with %+v, want a drain by alice, weight 0, 1 connection", server, d)
		}
		settle(10 * time.Second)
		wantCalls(t, n.host, "with a connection left", zero2)
		n.connections(dest("12"), 0)
		settle(time.Second)
		wantCalls(t, n.host, "without connections", delete2)
		server, err := n.director.Server(t.Context(), "web", "192.0.2.12")
		if d := server.Draining(); err != nil || d == nil || d.Ended.IsZero() || d.Left != 0 || server.Loaded != 0 {
			t.Errorf("afterwards %+v (%v), want it drained and out", server, err)
		}
		_, last := n.events(0)
		n.order("undrain", "192.0.2.12")
		settle(time.Second)
		wantCalls(t, n.host, "taken back", add2)
		n.wantEvents("the order", last, "operator undrain: web 192.0.2.12 (a disk), by alice")
	})
}

func TestDrainEndsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := drainable(t)
		defer n.end()
		n.connections(dest("12"), 3)
		n.order("drain", "192.0.2.12")
		settle(time.Minute + time.Second)
		wantCalls(t, n.host, "after the deadline", zero2, delete2)
		server, err := n.director.Server(t.Context(), "web", "192.0.2.12")
		if d := server.Draining(); err != nil || d == nil || d.Left != 3 {
			t.Errorf("afterwards %+v (%v), want 3 connections cut", d, err)
		}
	})
}

func TestOrdersSurviveCrashAndReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := drainable(t)
		defer n.end()
		n.order("disable", "192.0.2.12")
		wantCalls(t, n.host, "disabled", delete2)
		n.reload(drainConfig())
		n.killDirector()
		settle(time.Second)
		n.startDirector()
		settle(20 * time.Second)
		wantCalls(t, n.host, "after reload, crash and restart", "announce 192.0.2.100")
		status, err := n.director.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if o := status.Services[0].Real[1].Overrides; len(o) != 1 || o[0].What != "disable" || o[0].By != "alice" || o[0].Reason != "a disk" {
			t.Errorf("the status has %+v, want the order by alice", o)
		}
		if slices.ContainsFunc(status.Problems, func(p string) bool { return strings.Contains(p, "192.0.2.12") }) {
			t.Errorf("problems %q: what was ordered is none", status.Problems)
		}
		n.judge(web2, healthcheck.Up)
		settle(time.Second)
		wantCalls(t, n.host, "judged while it is disabled")
		n.order("enable", "192.0.2.12")
		settle(time.Second)
		wantCalls(t, n.host, "enabled", add2)
		if _, err := os.Stat(filepath.Join(n.state, "overrides.json")); !os.IsNotExist(err) {
			t.Errorf("without an override there is still a file (%v)", err)
		}
	})
}

func TestReloadDropsOverridesOfServersThatAreGoneAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := drainable(t)
		defer n.end()
		n.order("disable", "192.0.2.12")
		next := drainConfig()
		next.Services[0].Real = next.Services[0].Real[:1]
		n.file(next, nil)
		result, err := n.director.Reload(t.Context())
		if err != nil || !slices.ContainsFunc(result.Changes, func(c string) bool {
			return strings.HasPrefix(c, "override dropped: disabled of real server 192.0.2.12")
		}) {
			t.Errorf("reload: %+v, %v, want it to say that the override is dropped", result, err)
		}
		settle(time.Second)
		n.host.did()
		n.reload(drainConfig())
		settle(time.Second)
		n.judge(web2, healthcheck.Up)
		settle(time.Second)
		wantCalls(t, n.host, "back in the configuration", add2)
	})
}

func TestAnOrderThatCannotBeKeptSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := drainable(t)
		defer n.end()
		if err := os.Mkdir(filepath.Join(n.state, "overrides.json.new"), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := n.director.Order(t.Context(), control.Order{Action: "disable", Service: "web", Real: "192.0.2.12"})
		if err == nil || !strings.HasPrefix(err.Error(), "disable: in force, but it will not survive a restart: ") {
			t.Errorf("the order: %v, want it to say that it was not written down", err)
		}
		settle(time.Second)
		wantCalls(t, n.host, "all the same", delete2)
	})
}

func TestServerRemovedFromTheConfigurationDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := drainable(t)
		defer n.end()
		n.connections(dest("12"), 1)
		next := drainConfig()
		next.Services[0].Real = next.Services[0].Real[:1]
		n.reload(next)
		settle(time.Second)
		wantCalls(t, n.host, "with a connection left", zero2)
		// A crash of the director ends no drain.
		n.killDirector()
		settle(time.Second)
		n.startDirector()
		settle(5 * time.Second)
		wantCalls(t, n.host, "after a crash", "announce 192.0.2.100")
		status, err := n.director.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if l := status.Services[0].Leaving; len(l) != 1 || l[0].Address.String() != "192.0.2.12:80" || l[0].Active != 1 {
			t.Errorf("leaving: %+v, want the server with its connection", l)
		}
		n.connections(dest("12"), 0)
		settle(time.Second)
		wantCalls(t, n.host, "without connections", delete2)
	})
}

func TestRemovedServiceDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := drainable(t)
		defer n.end()
		n.connections(dest("12"), 1)
		next := drainConfig()
		next.Services = nil
		n.reload(next)
		settle(20 * time.Second)
		zero1 := strings.Replace(zero2, "12:80", "11:80", 1)
		delete1 := strings.Replace(delete2, "12:80", "11:80", 1)
		wantCalls(t, n.host, "with a connection left", zero1, zero2, delete1)
		status, err := n.director.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r := status.Removed; len(r) != 1 || r[0].Service != "tcp 192.0.2.100:80" || len(r[0].Leaving) != 1 {
			t.Errorf("removed: %+v, want the service with one server", r)
		}
		settle(time.Minute)
		wantCalls(t, n.host, "after the deadline", "ipvs deleting service tcp 192.0.2.100:80")
	})
}

func TestServerThatComesBackEndsItsDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := drainable(t)
		defer n.end()
		n.connections(dest("12"), 1)
		next := drainConfig()
		next.Services[0].Real = next.Services[0].Real[:1]
		n.reload(next)
		n.reload(drainConfig())
		settle(2 * time.Minute)
		wantCalls(t, n.host, "removed and back", zero2, zero2)
	})
}

func TestRemovalWithoutADrainIsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		n.judge(web2, healthcheck.Up)
		settle(time.Second)
		n.host.did()
		next := pairConfig("lvs1")
		next.Services[0].Real = next.Services[0].Real[:1]
		n.reload(next)
		wantCalls(t, n.host, "removed", delete2)
	})
}

func TestSorryServerDrainsWhenTheQuorumIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := drainable(t)
		defer n.end()
		c := drainConfig()
		c.Services[0].Pool.Sorry = &config.Real{Address: netip.MustParseAddr("192.0.2.13"), Weight: 1}
		n.reload(c)
		n.judge(web1, healthcheck.Down)
		n.judge(web2, healthcheck.Down)
		settle(time.Second)
		sorry := func(what string) string { return strings.NewReplacer("192.0.2.12", "192.0.2.13").Replace(what) }
		delete1 := strings.Replace(delete2, "12:80", "11:80", 1)
		calls := n.host.did()
		if !slices.Contains(calls, sorry(add2)) || slices.Index(calls, sorry(add2)) > slices.Index(calls, delete2) || !slices.Contains(calls, delete1) {
			t.Errorf("with all down: %q, want the sorry server added before the last one goes", calls)
		}
		n.connections(dest("13"), 1)
		n.judge(web2, healthcheck.Up)
		settle(5 * time.Second)
		wantCalls(t, n.host, "with the quorum back", add2, sorry(zero2))
		n.connections(dest("13"), 0)
		settle(time.Second)
		wantCalls(t, n.host, "when the sorry server has no connections left", sorry(delete2))
	})
}
