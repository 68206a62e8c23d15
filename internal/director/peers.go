package director

import (
	"crypto/rand"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/peer"
)

// tellEvery is how often this director tells the others of itself.
const tellEvery = time.Second

// peers is what the loop knows of other directors.
type peers struct {
	run   string
	seq   uint64
	said  string // the latest trouble, for the log
	book  *peer.Book
	heard chan peer.Datagram
}

func newPeers() *peers {
	run := rand.Text()
	return &peers{run: run, book: peer.NewBook(run), heard: make(chan peer.Datagram, 64)}
}

// arrived takes a datagram from the link's goroutine. What the loop has no time
// for is lost, as on any network.
func (p *peers) arrived(d peer.Datagram) {
	select {
	case p.heard <- d:
	default:
	}
}

// tellPeers tells the other directors what this one has, judges and heard.
func (d *Director) tellPeers(now time.Time) {
	if d.Peers == nil {
		return
	}
	d.peers.seq++
	datagrams, err := peer.Encode(d.message(now))
	if err != nil {
		if d.peers.said != err.Error() {
			d.peers.said = err.Error()
			d.Log.Error("telling the peer", "error", err)
		}
		return
	}
	d.Peers.Send(d.index().paths, datagrams)
}

// heardPeer takes a datagram. One who has begun, or has another address, is told at
// once of this director, and the table is computed for what is known now: two that
// do not know each other may send a request in a circle while they exchange a role.
func (d *Director) heardPeer(now time.Time, datagram peer.Datagram) {
	before := d.peers.book.Peers(now)
	if !d.peers.book.Hear(now, datagram) {
		return
	}
	same := func(a, b peer.Peer) bool {
		return a.Run == b.Run && a.From == b.From && slices.Equal(a.Serves, b.Serves)
	}
	if !slices.EqualFunc(before, d.peers.book.Peers(now), same) {
		d.tellPeers(now)
		d.update()
	}
}

// serves are the addresses of this host that the configuration lists as real
// servers, as the kernel had them at the last application.
func (d *Director) serves() []netip.Addr {
	own := make(map[netip.Addr]bool)
	if d.applier != nil {
		for _, a := range d.applier.outcome().Addresses.Present {
			own[a.Prefix.Addr()] = true
		}
	}
	var all []netip.Addr
	for _, s := range d.config.Services {
		for _, real := range s.Real {
			if own[real.Address] && !real.Local() && !slices.Contains(all, real.Address) && len(all) < peer.MaxServes {
				all = append(all, real.Address)
			}
		}
	}
	return all
}

func (d *Director) message(now time.Time) peer.Message {
	m := peer.Message{
		Node: d.config.Node, Run: d.peers.run, Seq: d.peers.seq, Release: d.Release, Config: d.config.Digest,
		Targets: len(d.probes.users), Serves: d.serves(), Connections: d.counting.told(now),
	}
	x := d.index()
	m.Routers = make([]peer.Router, 0, len(x.routers))
	for i := range x.routers {
		v := &x.routers[i]
		m.Routers = append(m.Routers, peer.Router{Name: v.Name, State: d.roles[v.Name].State.String(), Priority: v.Priority})
	}
	for address, c := range d.claims {
		m.Heard = append(m.Heard, peer.Heard{Address: address, MAC: c.mac.String(), Ago: now.Sub(c.at).Milliseconds()})
	}
	slices.SortFunc(m.Heard, func(a, b peer.Heard) int { return a.Address.Compare(b.Address) })
	for _, id := range slices.Sorted(maps.Keys(d.probes.users)) {
		if v := d.health[id]; v.Status != healthcheck.Up {
			m.NotUp = append(m.NotUp, peer.NotUp{ID: id, Status: statusText(v.Status), Reason: string(v.Reason)})
		}
	}
	return m
}

// statusText is what a target that nobody has judged is called.
func statusText(s healthcheck.Status) string {
	if s == "" {
		s = healthcheck.Unknown
	}
	return string(s)
}

// peerPaths are the ways to the other directors: those of the adverts, each once.
// Those over IPv6 serve where there are none over IPv4.
func peerPaths(c *config.Config) []peer.Path {
	var paths []peer.Path
	for _, six := range []bool{false, true} {
		for _, v := range c.Routers() {
			p := peer.Path{Interface: v.Interface, IPv6: six, Peers: v.Peers}
			served := func(q peer.Path) bool { return six && !q.IPv6 && q.Interface == p.Interface }
			if v.Addresses[0].Addr().Is6() == six && !slices.ContainsFunc(paths, p.Equal) && !slices.ContainsFunc(paths, served) {
				paths = append(paths, p)
			}
		}
	}
	return paths
}
