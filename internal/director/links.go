package director

import (
	"slices"
	"sync"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/speaker"
)

// linkNews is what the watcher told and the loop has not taken yet: of each
// interface the latest, so that no flood of events fills or loses anything.
type linkNews struct {
	mu     sync.Mutex
	links  map[string]netif.EventKind // guarded by mu
	synced bool                       // guarded by mu
	wake   chan struct{}
}

func newLinkNews() *linkNews {
	return &linkNews{links: make(map[string]netif.EventKind), wake: make(chan struct{}, 1)}
}

func (n *linkNews) put(e netif.Event) {
	n.mu.Lock()
	if e.Kind == netif.Synced {
		n.synced = true
	} else {
		n.links[e.Link.Name] = e.Kind
	}
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *linkNews) take() (links map[string]netif.EventKind, synced bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	links, synced = n.links, n.synced
	n.links, n.synced = make(map[string]netif.EventKind), false
	return links, synced
}

// event takes news from the watcher's goroutine. What is not known yet of an
// interface is not told: the speaker must not lose a role to a guess.
func (d *Director) event(e netif.Event) {
	if e.Link.Virtual && (e.Kind == netif.LinkDown || e.Kind == netif.LinkGone) {
		d.applier.kick()
	}
	switch e.Kind {
	case netif.LinkUp, netif.LinkDown, netif.LinkGone, netif.Synced:
		d.linkNews.put(e)
	case netif.AddressGone:
		if e.Address.Ours {
			d.Log.Debug("an address of ours is gone", "address", e.Address.String())
			d.applier.kick()
		}
	}
}

// takeLinks acts on what the watcher told.
func (d *Director) takeLinks() {
	links, synced := d.linkNews.take()
	tracked := synced
	if len(links) > 0 {
		d.routesMayBeGone()
	}
	for name, kind := range links {
		tracked = tracked || d.tracksLink(name)
		d.link(name, kind == netif.LinkUp)
		if kind == netif.LinkGone && !d.configured(name) {
			delete(d.carrier, name)
		}
	}
	defer func() {
		if tracked {
			d.update()
		}
	}()
	if !synced {
		return
	}
	// Everything that is up has been reported so.
	d.synced = true
	for _, v := range d.config.VRRP {
		if _, known := d.carrier[v.Interface]; !known {
			d.link(v.Interface, false)
		}
	}
}

func (d *Director) link(name string, up bool) {
	before, known := d.carrier[name]
	d.carrier[name] = up
	if known && before == up || !d.configured(name) {
		return
	}
	d.Log.Info("link", "interface", name, "up", up)
	d.tellLink(name, up)
}

func (d *Director) tellLink(name string, up bool) {
	d.send(d.Speaker, speaker.KindLink, name, speaker.Link{Interface: name, Up: up})
}

// routesMayBeGone has the kernel compared where there are routes: it drops those of
// an interface that goes down.
func (d *Director) routesMayBeGone() {
	if slices.ContainsFunc(d.config.VRRP, func(v config.VRRP) bool { return len(v.Routes) > 0 }) {
		d.applier.kick()
	}
}

// configured reports whether a virtual router is on an interface.
func (d *Director) configured(name string) bool {
	return slices.ContainsFunc(d.config.VRRP, func(v config.VRRP) bool { return v.Interface == name })
}
