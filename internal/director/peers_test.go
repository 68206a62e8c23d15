package director

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/peer"
	"github.com/haldir-lb/haldir/vrrp"
)

// theBackup is the other director, which agrees with all that healthy has.
func theBackup(v *view) peer.Peer {
	return peer.Peer{
		Message: peer.Message{
			Node: "lvs2", Run: "x", Seq: 9, Config: v.config.Digest, Targets: 2,
			Routers: []peer.Router{{Name: "edge", State: "backup", Priority: 100}},
			Heard:   []peer.Heard{{Address: vip.Prefix.Addr(), MAC: "02:00:00:00:00:01", Ago: 10_000}},
		},
		From: netip.MustParseAddr("192.0.2.2"), Interface: "eth0", At: noon.Add(-time.Second),
	}
}

func announcedAgo(v *view, ago time.Duration) {
	v.announced = map[arp.Target]arp.TargetStatus{
		{Interface: "eth0", Address: vip.Prefix.Addr()}: {Last: noon.Add(-ago)},
	}
}

func TestAPeerThatAgreesIsShownAndNoProblem(t *testing.T) {
	v := healthy()
	announcedAgo(v, 11*time.Second)
	v.peers = []peer.Peer{theBackup(v)}
	s := v.status()
	if len(s.Problems) != 0 {
		t.Errorf("problems %q, want none", s.Problems)
	}
	if len(s.Directors) != 1 {
		t.Fatalf("directors %+v, want one", s.Directors)
	}
	d := s.Directors[0]
	if d.Node != "lvs2" || d.Age != 1000 || d.Silent || !d.SameConfig || d.Routers[0] != (control.PeerRouter{Name: "edge", State: "backup", Priority: 100}) {
		t.Errorf("director %+v, want lvs2, heard 1000 ms ago, backup of edge, with our configuration", d)
	}
	// What it heard is older by the age of its message.
	if d.Heard[0].Age != 11_000 {
		t.Errorf("announcement heard %v ms ago, want 11000", d.Heard[0].Age)
	}
}

func TestPeersDifferencesAreProblems(t *testing.T) {
	down := healthcheck.Verdict{ID: web1, Status: healthcheck.Down, Since: noon.Add(-time.Minute), Checked: noon}
	for name, c := range map[string]struct {
		spoil func(*view, *peer.Peer)
		want  string // empty: no problem
	}{
		"configuration": {func(_ *view, p *peer.Peer) { p.Config = "0123456789" }, "lvs2 has another configuration (01234567"},
		"same name":     {func(_ *view, p *peer.Peer) { p.Node = "lvs1" }, "another director at 192.0.2.2 is called lvs1 too"},
		"down there": {func(_ *view, p *peer.Peer) { p.NotUp = []peer.NotUp{{ID: web1, Status: "down", Reason: "timeout"}} },
			"lvs2 judges " + web1 + " down, here it is up"},
		"unknown there":   {func(_ *view, p *peer.Peer) { p.NotUp = []peer.NotUp{{ID: web1, Status: "unknown"}} }, ""},
		"down here alone": {func(v *view, _ *peer.Peer) { v.health[web1] = down }, "lvs2 judges " + web1 + " up, here it is down"},
		"down here, it did not tell all": {func(v *view, p *peer.Peer) { v.health[web1] = down; p.Partial = true },
			"!lvs2 judges"},
		"down here just now": {func(v *view, _ *peer.Peer) {
			just := down
			just.Since = noon.Add(-time.Second)
			v.health[web1] = just
		}, "!lvs2 judges"},
		"not heard": {func(_ *view, p *peer.Peer) { p.Heard = nil }, "lvs2 has not heard the announcements of 192.0.2.100"},
		"heard long before": {func(_ *view, p *peer.Peer) { p.Heard[0].Ago = 60_000 },
			"lvs2 has not heard the announcements of 192.0.2.100"},
		"not heard yet":           {func(v *view, p *peer.Peer) { p.Heard = nil; announcedAgo(v, 2*time.Second) }, ""},
		"not heard, another link": {func(_ *view, p *peer.Peer) { p.Heard = nil; p.Interface = "eth1" }, ""},
		"silent":                  {func(_ *view, p *peer.Peer) { p.Config, p.Heard, p.At = "old", nil, noon.Add(-time.Minute) }, ""},
	} {
		v := healthy()
		announcedAgo(v, 11*time.Second)
		p := theBackup(v)
		c.spoil(v, &p)
		v.peers = []peer.Peer{p}
		got := strings.Join(v.status().Problems, "\n")
		unwanted, negative := strings.CutPrefix(c.want, "!")
		switch {
		case negative && strings.Contains(got, unwanted):
			t.Errorf("%s: problems %q, want none with %q", name, got, unwanted)
		case !negative && c.want == "" && got != "", !negative && !strings.Contains(got, c.want):
			t.Errorf("%s: problems %q, want %q", name, got, c.want)
		}
	}
}

// memoryLink keeps what was sent last, and counts.
type memoryLink struct {
	mu    sync.Mutex
	times int
	paths []peer.Path
	sent  [][]byte
	sink  func(peer.Datagram)
}

func (l *memoryLink) Send(paths []peer.Path, datagrams [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paths, l.sent = paths, datagrams
	l.times++
}

func (l *memoryLink) Run(ctx context.Context, sink func(peer.Datagram)) error {
	l.mu.Lock()
	l.sink = sink
	l.mu.Unlock()
	<-ctx.Done()
	return nil
}

func TestADirectorTellsWhatItHasJudgesAndHeard(t *testing.T) {
	d := New(Options{Release: "v1"})
	link := &memoryLink{}
	d.Peers, d.config = link, pairConfig("lvs1")
	d.roles["edge"] = Role{State: vrrp.Master}
	d.probes = NewProbes(d.config)
	d.health[web1] = healthcheck.Verdict{Status: healthcheck.Up}
	d.health[web2] = healthcheck.Verdict{Status: healthcheck.Down, Reason: "timeout"}
	d.claims[vip.Prefix.Addr()] = claim{mac: net.HardwareAddr{2, 0, 0, 0, 0, 9}, at: noon.Add(-5 * time.Second)}
	d.tellPeers(noon)

	book := peer.NewBook("another")
	for _, datagram := range link.sent {
		book.Hear(noon, peer.Datagram{Payload: datagram})
	}
	heard := book.Peers(noon)
	if len(heard) != 1 {
		t.Fatalf("heard %+v (%s)", heard, book.LastRefusal)
	}
	m := heard[0].Message
	if m.Node != "lvs1" || m.Config != pairConfig("lvs1").Digest || m.Release != "v1" || m.Targets != 2 {
		t.Errorf("message %+v, want lvs1's with its configuration", m)
	}
	if len(m.Routers) != 1 || m.Routers[0].State != "master" {
		t.Errorf("routers %+v, want edge as master", m.Routers)
	}
	if want := (peer.NotUp{ID: web2, Status: "down", Reason: "timeout"}); len(m.NotUp) != 1 || m.NotUp[0] != want {
		t.Errorf("not up %+v, want %+v alone", m.NotUp, want)
	}
	if want := (peer.Heard{Address: vip.Prefix.Addr(), MAC: "02:00:00:00:00:09", Ago: 5000}); len(m.Heard) != 1 || m.Heard[0] != want {
		t.Errorf("heard %+v, want %+v alone", m.Heard, want)
	}
	if len(link.paths) != 1 || link.paths[0].Interface != "eth0" || link.paths[0].Peers != nil {
		t.Errorf("paths %+v, want multicast on eth0", link.paths)
	}
}

// A flood of messages must not hold up the loop.
func TestAFloodOfMessagesIsLostNotQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeers()
		for range 10 * cap(p.heard) {
			p.arrived(peer.Datagram{})
		}
		if len(p.heard) != cap(p.heard) {
			t.Errorf("%d wait, want %d", len(p.heard), cap(p.heard))
		}
	})
}
