package vrrp

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// handle takes what a keeper found.
func (l *loop) handle(now time.Time, n news) {
	k := n.link
	if n.err != nil {
		problem := n.err.Error()
		if problem != k.problem {
			l.log.Warn("interface cannot be used", "interface", k.name, "family", k.family.String(), "error", n.err)
		}
		k.problem, k.port, k.source = problem, nil, netip.Addr{}
		reason := ReasonLinkDown
		if errors.Is(n.err, ErrNoSource) {
			reason = ReasonNoSource
		}
		l.fault(now, k, reason)
		return
	}
	if k.source != n.source {
		l.log.Info("interface is used", "interface", k.name, "family", k.family.String(), "source", n.source)
	}
	k.problem, k.port, k.source = "", n.port, n.source
	for _, r := range k.routers {
		if r != nil {
			l.step(now, r, Event{Kind: EventSource, From: k.source})
		}
	}
	l.use(now, k)
}

// carrier is Speaker.Link.
func (l *loop) carrier(now time.Time, ifname string, up bool) {
	l.carriers[ifname] = up
	for _, family := range []Family{IPv4, IPv6} {
		if k := l.links[linkKey{ifname, family}]; k != nil {
			l.carrierOf(now, k, up)
		}
	}
}

func (l *loop) carrierOf(now time.Time, k *link, up bool) {
	if up && !k.carrier && k.seenDown {
		k.settled = now.Add(carrierSettle)
	}
	k.carrier, k.seenDown = up, k.seenDown || !up
	if !up {
		l.fault(now, k, ReasonLinkDown)
		return
	}
	if k.port == nil {
		k.keeper.nudge()
	}
	l.use(now, k)
}

// use starts the routers of a link if it is fit and was not before.
func (l *loop) use(now time.Time, k *link) {
	if k.usable || !k.carrier || k.port == nil {
		return
	}
	k.usable = true
	for _, r := range k.routers {
		if r != nil {
			l.start(now, r, ReasonLinkUp)
		}
	}
}

// fault stops the routers of a link that cannot carry adverts.
func (l *loop) fault(now time.Time, k *link, reason Reason) {
	k.usable = false
	for _, r := range k.routers {
		if r != nil {
			l.step(now, r, Event{Kind: EventFault, Reason: reason})
		}
	}
}

// start lets a router take part on a usable link. The first start has the reason
// ReasonStart, or continues what an earlier process did.
func (l *loop) start(now time.Time, r *router, reason Reason) {
	if l.stopping || r.removing {
		return
	}
	if r.group != nil && r.cfg.Ineligible == "" {
		l.startGroup(now, r, reason)
		return
	}
	l.begin(now, r, reason)
}

// machineOf returns the machine of a router on a usable link.
func (l *loop) machineOf(now time.Time, r *router) *Machine {
	if r.machine == nil {
		r.machine = NewMachine(r.cfg, r.link.source, now)
		r.machine.actions = l.actions // of one machine at a time
	}
	return r.machine
}

// begin starts the machine of a router.
func (l *loop) begin(now time.Time, r *router, reason Reason) {
	if l.machineOf(now, r); !r.began {
		r.began = true
		reason = ReasonStart
	}
	if r.resume != nil {
		resume := *r.resume
		r.resume = nil
		if resume.Silent > 0 {
			resume.Silent += now.Sub(r.created)
		}
		l.step(now, r, Event{Kind: EventResume, Resume: &resume})
		return
	}
	l.step(now, r, Event{Kind: EventStart, Reason: reason, Settled: r.link.settled})
}

// receive handles a batch of datagrams.
func (l *loop) receive(now time.Time, b *batch) {
	for i := range b.datagrams[:b.n] {
		l.packetIn(now, b.link, &b.datagrams[i])
	}
	b.free <- b
}

// packetIn checks one datagram. One that is dropped has no effect but a count.
func (l *loop) packetIn(now time.Time, k *link, d *Datagram) {
	var r *router
	if id, ok := vrid(d.Payload); ok {
		r = k.routers[id]
	}
	cfg := &l.nobody
	if r != nil {
		cfg = &r.cfg
	}
	reason := l.packet.ParseFor(cfg, d)
	if reason == Accepted {
		// "MUST verify that the VRID is configured on the receiving interface"
		if r == nil {
			reason = DropVRID
		} else if d.Source == k.source {
			reason = DropOwn
		}
	}
	if reason != Accepted {
		l.dropped(now, k, r, d, reason)
		return
	}
	r.received++
	r.heard = heard{from: d.Source, priority: l.packet.Priority, interval: l.packet.Interval, checksum: l.packet.Checksum, at: now}
	if r.machine == nil {
		return
	}
	if r.compare(d.Source, &l.packet) {
		if ok, suppressed := r.mismatchLimit.pass(now); ok {
			l.log.Warn("another router is configured otherwise", "router", r.cfg.Name, "difference", r.mismatch,
				"suppressed", suppressed)
		}
	}
	l.step(now, r, Event{Kind: EventPacket, From: d.Source, Packet: &l.packet})
}

// dropped counts a packet for the router whose VRID it claims, if there is one,
// and logs one of each kind a minute and interface.
func (l *loop) dropped(now time.Time, k *link, r *router, d *Datagram, reason DropReason) {
	if r != nil {
		r.dropped[reason]++
	}
	ok, suppressed := k.limits[reason].pass(now)
	if !ok {
		return
	}
	l.log.Warn("dropping a packet", "interface", k.name, "source", d.Source, "reason", reason.String(),
		"suppressed", suppressed)
}

// shutdown is Speaker.Shutdown.
func (l *loop) shutdown(now time.Time, reply chan<- struct{}) {
	l.stopping = true
	l.waiting = append(l.waiting, reply)
	for _, name := range slices.Sorted(maps.Keys(l.routers)) {
		l.step(now, l.routers[name], Event{Kind: EventStop, Reason: ReasonShutdown})
	}
	l.sweep = true
}

// answerShutdown lets Shutdown return when all routers are in Init.
func (l *loop) answerShutdown() {
	for _, r := range l.routers {
		if r.state() != Init {
			return
		}
	}
	for _, reply := range l.waiting {
		close(reply)
	}
	l.waiting = nil
}

// status is Speaker.Status.
func (l *loop) status(now time.Time) []RouterStatus {
	all := make([]RouterStatus, 0, len(l.routers))
	for _, name := range slices.Sorted(maps.Keys(l.routers)) {
		all = append(all, l.routers[name].status(now))
	}
	return all
}
