package director

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/internal/speaker"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// healthy is the view of a master with which all is well.
func healthy() *view {
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	verdict := func(id string) healthcheck.Verdict {
		return healthcheck.Verdict{ID: id, Status: healthcheck.Up, Since: ago(time.Hour), Checked: ago(time.Second), Reason: "connected"}
	}
	dest := func(address string, weight, active uint32) ipvsctl.LiveDest {
		return ipvsctl.LiveDest{
			Dest: ipvsctl.Dest{
				Key:     ipvsctl.DestKey{Address: netip.MustParseAddr(address), Port: 80},
				Forward: ipvsctl.DR, Weight: weight,
			},
			ActiveConns: active,
		}
	}
	return &view{
		now: noon, config: pairConfig("lvs1"), loaded: ago(time.Hour),
		roles:  map[string]Role{"edge": {State: vrrp.Master, Decided: true}},
		probes: NewProbes(pairConfig("lvs1")),
		health: map[string]healthcheck.Verdict{web1: verdict(web1), web2: verdict(web2)},
		children: process.Children{Supervisor: 7, Children: []process.Child{
			{Role: process.Speaker, PID: 8}, {Role: process.Director, PID: 9}, {Role: process.Checker, PID: 10},
		}},
		speaker: speaker.State{At: ago(5 * time.Millisecond), Configured: true, Routers: []vrrp.RouterStatus{{
			RouterConfig: Routers(pairConfig("lvs1"))[0], State: vrrp.Master, Since: ago(time.Hour),
			Heard: &vrrp.Heard{From: netip.MustParseAddr("192.0.2.2"), Priority: 100, Interval: time.Second, Age: time.Hour},
		}}},
		addresses: []netif.PresentAddress{{Address: vip, Ours: true}},
		table: ipvsctl.LiveTable{{
			Service: ipvsctl.Service{Key: webKey, Scheduler: "wlc"},
			Stats:   ipvsctl.Stats{Conns: 42},
			Dests:   []ipvsctl.LiveDest{dest("192.0.2.11", 1, 3), dest("192.0.2.12", 2, 4)},
		}},
	}
}

func TestHealthyStatusHasNoProblems(t *testing.T) {
	s := healthy().status()
	if len(s.Problems) != 0 || len(s.Unknown) != 0 {
		t.Errorf("problems %q, unknown %q, want none", s.Problems, s.Unknown)
	}
	service := s.Services[0]
	if service.Loaded == nil || !*service.Loaded || service.Stats.Connections != 42 {
		t.Errorf("service %+v, want it loaded with 42 connections", service)
	}
	if real := service.Real[1]; *real.Weight != 2 || real.Active != 4 || *real.Checked != 1000 || real.Stale {
		t.Errorf("real server %+v, want weight 2, 4 connections, checked 1000 ms ago, fresh", real)
	}
	// The age of the peer's advert includes the time since the speaker was asked.
	if peer := s.Routers[0].Peer; peer.Age.Duration() != time.Hour+5*time.Millisecond {
		t.Errorf("age of the peer's advert %v, want 1h0m0.005s", peer.Age.Duration())
	}
}

func TestStatusNamesEveryProblem(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*view)
		want  string
	}{
		"process": {func(v *view) { v.children.Children[2].PID = 0 }, "the checker is not running"},
		"address missing": {func(v *view) { v.addresses = nil },
			`virtual router "edge" is master, but 192.0.2.100/24 is not on eth0`},
		"address left": {func(v *view) { v.speaker.Routers[0].State = vrrp.Backup },
			`virtual router "edge" is backup, but 192.0.2.100/24 is on eth0`},
		"service missing": {func(v *view) { v.table = nil }, `service "web" at 192.0.2.100:80 is not in the kernel`},
		"server down": {func(v *view) {
			v.health[web1] = healthcheck.Verdict{Status: healthcheck.Down, Reason: "connection refused", Checked: noon}
		}, "real server 192.0.2.11:80 is down: connection refused"},
		"warning": {func(v *view) {
			old := v.health[web1]
			old.Warning, old.Reason, old.Detail = true, "certificate expires soon", "in 9 days"
			v.health[web1] = old
		}, "real server 192.0.2.11:80: certificate expires soon, in 9 days"},
		"nobody up": {func(v *view) { v.health = nil }, `service "web" at 192.0.2.100:80 has no real server`},
		"stale": {func(v *view) {
			old := v.health[web1]
			old.Checked = noon.Add(-time.Minute)
			v.health[web1] = old
		}, "nothing new is known of real server 192.0.2.11:80"},
		"fight": {func(v *view) { v.applied.PutBack = map[netif.Address]int{vip: fightShown} },
			"another program keeps removing 192.0.2.100/24 from eth0 (put back 3 times within a minute)"},
		"routing": {func(v *view) {
			v.applied.Routing.Failed = []*netif.RoutingError{{What: "route default via 192.0.2.254", Op: "adding", Err: errTest}}
		}, "routes and rules: adding route default via 192.0.2.254: refused by the test"},
		"second master": {func(v *view) { v.speaker.Routers[0].Heard.Age = 100 * time.Millisecond }, "192.0.2.2 is master too"},
		"router":        {func(v *view) { v.speaker.Routers[0].Problem = "interface eth0 does not exist" }, "interface eth0 does not exist"},
		"reload": {func(v *view) { v.reload = &control.ReloadResult{Errors: []string{"x.toml:1:2: wrong"}} },
			"the last reload was refused: x.toml:1:2: wrong"},
		"address refused": {func(v *view) {
			v.applied.Addresses.Failed = []*netif.AddressError{{Address: vip, Op: "adding", Err: errTest}}
		}, "adding address 192.0.2.100/24 on eth0: refused by the test"},
		"operation refused": {func(v *view) {
			op := ipvsctl.Op{Kind: ipvsctl.AddService, Service: ipvsctl.Service{Key: webKey}}
			v.applied.Table.Failed = []ipvsctl.OpError{{Op: op, Err: errTest}}
		}, "refused by the test"},
	} {
		v := healthy()
		c.spoil(v)
		if got := v.status().Problems; !slices.ContainsFunc(got, func(p string) bool { return strings.Contains(p, c.want) }) {
			t.Errorf("%s: problems %q, want one with %q", name, got, c.want)
		}
	}
}

func TestClaimFromBeforeTheTakeoverIsNoProblem(t *testing.T) {
	v := healthy()
	v.speaker.Routers[0].Since = noon.Add(-2 * time.Second)
	v.claims = map[netip.Addr]claim{vip.Prefix.Addr(): {mac: net.HardwareAddr{2, 0, 0, 0, 0, 9}, at: noon.Add(-1500 * time.Millisecond)}}
	s := v.status()
	if len(s.Problems) != 0 {
		t.Errorf("problems %q, want none: the former master claimed the address until it gave way", s.Problems)
	}
	if a := s.Routers[0].Addresses[0]; a.ClaimedBy != "02:00:00:00:00:09" || *a.Claimed != 1500 {
		t.Errorf("claimed by %q %v ms ago, want 02:00:00:00:00:09 1500 ms ago", a.ClaimedBy, *a.Claimed)
	}
}

func TestStatusSaysWhatIsUnknown(t *testing.T) {
	v := healthy()
	v.addressErr, v.tableErr, v.speakerErr = errTest, errTest, errors.New("silence")
	v.addresses, v.table, v.speaker = nil, nil, speaker.State{}
	s := v.status()
	want := []string{"IPVS table: refused by the test", "addresses: refused by the test", "virtual routers: silence"}
	if !slices.Equal(s.Unknown, want) {
		t.Errorf("unknown %q, want %q", s.Unknown, want)
	}
	if r := s.Routers[0]; r.State != "unknown" || r.Addresses[0].Present != nil || s.Services[0].Loaded != nil {
		t.Errorf("router %+v, service %+v, want unknown, not a guess", r, s.Services[0])
	}
	if len(s.Problems) != 0 {
		t.Errorf("problems %q are guesses", s.Problems)
	}
}
