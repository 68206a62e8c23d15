package vrrp

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// set is Speaker.Set.
func (l *loop) set(now time.Time, routers []RouterConfig, resume map[string]Resume) {
	if l.stopping {
		return
	}
	slices.SortStableFunc(routers, func(a, b RouterConfig) int { return cmp.Compare(a.Name, b.Name) })
	l.desired, l.resume = routers, resume
	l.reconcile(now)
}

// settle lets routers go that were on their way out, and starts those that
// waited for them.
func (l *loop) settle(now time.Time) {
	for _, name := range slices.Sorted(maps.Keys(l.routers)) {
		if r := l.routers[name]; r.removing && r.state() == Init {
			l.remove(r)
		}
	}
	if l.stopping {
		l.answerShutdown()
		return
	}
	l.reconcile(now)
	l.restartGroups(now)
}

// reconcile makes the running routers the desired ones, as far as that can be
// done now: a router that hands over keeps its name and VRID until it is done.
func (l *loop) reconcile(now time.Time) {
	want := make(map[string]*RouterConfig, len(l.desired))
	for i := range l.desired {
		if cfg := &l.desired[i]; want[cfg.Name] == nil {
			want[cfg.Name] = cfg
		} else {
			l.log.Error("ignoring a virtual router: the name is already used", "router", cfg.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.routers)) {
		r := l.routers[name]
		switch cfg := want[name]; {
		case r.removing:
		case cfg != nil && r.machine != nil && cfg.Validate() != nil:
			r.refused = cfg.Validate().Error()
			l.log.Error("virtual router keeps its earlier configuration", "router", name, "error", r.refused)
		case cfg == nil || !cfg.sameRouter(&r.cfg) || r.invalid != "" || cfg.Validate() != nil:
			r.removing = true
			l.ungroup(r)
			l.step(now, r, Event{Kind: EventStop, Reason: ReasonRemoved})
			if r.state() == Init {
				l.remove(r)
			}
		default:
			if !cfg.equal(&r.cfg) {
				l.warn(cfg)
			}
			l.reconfigure(now, r, cfg)
		}
	}
	var added []*router
	for i := range l.desired {
		if cfg := &l.desired[i]; l.routers[cfg.Name] == nil {
			if r := l.add(now, cfg); r != nil {
				added = append(added, r)
			}
		}
	}
	l.regroup(now)
	for _, r := range added {
		if r.link.usable {
			l.start(now, r, ReasonStart)
		}
	}
	l.excludeVirtual()
	for _, k := range slices.Collect(maps.Values(l.links)) {
		if k.vrids == (VRIDs{}) {
			k.discard()
			delete(l.links, k.linkKey)
		}
	}
}

// warn writes what a new or changed configuration gives reason to warn of.
func (l *loop) warn(cfg *RouterConfig) {
	for _, w := range cfg.Warnings() {
		l.log.Warn("virtual router", "router", cfg.Name, "warning", w)
	}
}

// add makes a router that is not there, unless its VRID is still in use by one that
// hands over. It returns nil for one that cannot start.
func (l *loop) add(now time.Time, cfg *RouterConfig) *router {
	r := &router{cfg: *cfg, created: now, index: -1}
	if err := cfg.Validate(); err != nil {
		r.invalid = err.Error()
		l.routers[cfg.Name] = r
		l.log.Error("virtual router cannot run", "router", cfg.Name, "error", err)
		return nil
	}
	k := l.link(linkKey{cfg.Interface, cfg.Family()})
	if other := k.routers[cfg.VRID]; other != nil {
		if !other.removing {
			r.invalid = fmt.Sprintf("VRID %d on %s is already used by virtual router %q", cfg.VRID, cfg.Interface, other.cfg.Name)
			l.routers[cfg.Name] = r
			l.log.Error("virtual router cannot run", "router", cfg.Name, "error", r.invalid)
		}
		return nil
	}
	if resume, ok := l.resume[cfg.Name]; ok {
		r.resume = &resume
	}
	r.link = k
	k.routers[cfg.VRID] = r
	k.vrids.Add(cfg.VRID)
	k.share()
	l.routers[cfg.Name] = r
	l.warn(cfg)
	return r
}

// remove forgets a router that is in Init.
func (l *loop) remove(r *router) {
	delete(l.routers, r.cfg.Name)
	if r.link == nil {
		return
	}
	l.timers.remove(r)
	r.link.routers[r.cfg.VRID] = nil
	r.link.vrids = VRIDs{}
	for _, other := range r.link.routers {
		if other != nil {
			r.link.vrids.Add(other.cfg.VRID)
		}
	}
	r.link.share()
}

// link returns the link of an interface and family, and starts to keep it open.
func (l *loop) link(key linkKey) *link {
	if k := l.links[key]; k != nil {
		return k
	}
	up, known := l.carriers[key.name]
	k := &link{linkKey: key, carrier: up || !known, seenDown: known && !up, problem: "interface " + key.name + " is not open yet"}
	k.keeper = &keeper{link: k, linkKey: key, net: l.net, kick: make(chan struct{}, 1), news: l.news, batches: l.batches}
	k.share()
	k.keeper.exclude.Store(new(l.virtual()))
	ctx, discard := context.WithCancel(l.ctx)
	k.discard = discard
	l.links[key] = k
	l.keepers.Go(func() { k.keeper.run(ctx) })
	return k
}

// share tells the keeper the VRIDs of the link.
func (k *link) share() {
	vrids := k.vrids
	if old := k.keeper.vrids.Swap(&vrids); old != nil && *old != vrids {
		k.keeper.nudge()
	}
}

// virtual returns the addresses of all routers, those that are to come and those
// that hand over, sorted. None of them may be the source of an advert.
func (l *loop) virtual() []netip.Addr {
	var all []netip.Addr
	for i := range l.desired {
		all = append(all, l.desired[i].Addresses...)
	}
	for _, r := range l.routers {
		all = append(all, r.cfg.Addresses...)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// excludeVirtual tells all keepers what the virtual addresses are now.
func (l *loop) excludeVirtual() {
	virtual := l.virtual()
	for _, k := range l.links {
		if old := k.keeper.exclude.Swap(&virtual); !slices.Equal(*old, virtual) {
			k.keeper.nudge()
		}
	}
}
