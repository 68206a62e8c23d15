package config

import (
	"cmp"
	"fmt"
	"net/netip"
)

// check finds what only shows when blocks are seen together or beside the host.
func (l *loader) check(sources []*source, node string) {
	l.checkNames()
	l.checkRouterIDs()
	l.checkVIPs()
	l.checkRouting()
	l.checkPeers()
	l.checkListeners()
	l.checkMarks()
	l.checkGroups()
	for _, b := range l.services {
		l.checkHeld(b)
		l.checkReceive(b)
		l.checkReals(b)
		l.checkMark(b)
		l.checkPool(b)
		l.finishMark(b)
		l.checkContinuity(b)
		l.checkFamilies(b)
		if len(b.Service.Real) > 0 && len(b.Service.Real) == len(b.real) && b.totalWeight() == 0 {
			l.found.warn(b.head, problem{message: "every real server has weight 0: no connection will be accepted"})
		}
	}
	for _, b := range l.vrrp {
		l.checkTrack(b.track, b.VRRP.Interface)
		l.checkNotify(b.notify)
		l.checkRouterFamilies(b)
		l.warnEqual(b)
	}
	l.warnMoot()
	if len(l.vrrp) == 0 && len(l.found.errors) == 0 {
		l.found.add(place{src: sources[0]}, problem{message: "there is no [[vrrp]] block, so no address to hold"})
		return
	}
	l.checkSync(node)
	if l.opt.RequireDirector {
		l.checkDirector(node)
	}
}

func (l *loader) checkNames() {
	vrrp, services := map[string]place{}, map[string]place{}
	for _, b := range l.vrrp {
		l.unique(vrrp, b.name, "[[vrrp]] block")
	}
	for _, b := range l.services {
		l.unique(services, b.name, "[[service]] block")
	}
}

func (l *loader) unique(seen map[string]place, name field[string], kind string) {
	if !name.good {
		return
	}
	if first, ok := seen[name.value]; ok {
		l.found.add(name.place, problem{message: fmt.Sprintf("another %s has this name, at %s", kind, first.seenFrom(name.place))})
		return
	}
	seen[name.value] = name.place
}

func (l *loader) checkRouterIDs() {
	type router struct {
		iface string
		id    uint8
	}
	seen := map[router]place{}
	for _, b := range l.vrrp {
		iface := cmp.Or(b.VRRP.Interface, b.VRRP.InterfaceTemplate)
		if !b.iface.good || !b.routerID.good {
			continue
		}
		key := router{iface, b.RouterID}
		if first, ok := seen[key]; ok {
			l.found.add(b.routerID.place, problem{
				message: fmt.Sprintf("another [[vrrp]] block uses this router_id on the same interface, at %s", first.seenFrom(b.routerID.place)),
				legal:   "one router_id for each block on an interface",
			})
			continue
		}
		seen[key] = b.routerID.place
	}
}

func (l *loader) checkVIPs() {
	seen := map[netip.Addr]place{}
	for _, b := range l.vrrp {
		for _, f := range b.addresses {
			if !f.known {
				continue
			}
			addr := f.prefix.Addr()
			if first, ok := seen[addr]; ok {
				l.found.add(f.place, problem{message: fmt.Sprintf("%s is held already, at %s", addr, first.seenFrom(f.place))})
				continue
			}
			seen[addr] = f.place
		}
	}
	for _, b := range l.vrrp {
		for _, f := range b.extra {
			if first, ok := seen[f.Prefix.Addr()]; ok {
				l.found.add(f.place, problem{message: fmt.Sprintf("%s is held already, at %s", f.Prefix.Addr(), first.seenFrom(f.place))})
				continue
			}
			seen[f.Prefix.Addr()] = f.place
		}
	}
}

// checkRouting finds routes of which a kernel can have one only.
func (l *loader) checkRouting() {
	type slot struct {
		destination   netip.Prefix
		table, metric int
	}
	routes, rules := map[slot]place{}, map[Rule]place{}
	for _, b := range l.vrrp {
		for _, f := range b.routes {
			key := slot{f.Destination, f.Table, f.Metric}
			if first, ok := routes[key]; ok {
				l.found.add(f.place, problem{
					message: fmt.Sprintf("a route with this destination, table and metric is there already, at %s", first.seenFrom(f.place)),
					legal:   "another metric or table",
				})
				continue
			}
			routes[key] = f.place
		}
		for _, f := range b.rules {
			if first, ok := rules[f.Rule]; ok {
				l.found.add(f.place, problem{message: fmt.Sprintf("this rule is there already, at %s", first.seenFrom(f.place))})
				continue
			}
			rules[f.Rule] = f.place
		}
	}
}

// warnEqual warns of nodes with the same priority: legal, the higher source
// address decides then (RFC 9568, section 6.4.3), but seldom meant.
func (l *loader) warnEqual(b *vrrpBlock) {
	first := map[int64]string{}
	for _, node := range b.Priorities.Nodes() {
		f, ok := b.byNode[node]
		if !ok {
			continue
		}
		other, equal := first[f.value]
		if !equal {
			first[f.value] = node
			continue
		}
		l.found.warn(f.place, problem{message: fmt.Sprintf("the same priority as %s: the higher address decides between them", other)})
	}
	if b.Priorities.All == 255 {
		l.found.warn(b.priority, problem{message: "255 makes every node an address owner: give one node alone 255"})
	}
}

// checkDirector checks that this node can do what the file asks of it.
func (l *loader) checkDirector(node string) {
	l.checkMember(node)
	if l.opt.Interfaces == nil {
		return
	}
	interfaces, err := l.opt.Interfaces()
	for _, b := range l.vrrp {
		if !b.iface.good || b.Priorities.For(node) == 0 {
			continue
		}
		if err != nil {
			l.found.add(b.iface.place, problem{message: fmt.Sprintf("the interface cannot be looked for: %v", err)})
			return
		}
		l.checkPresent(b.iface, b.VRRP.Interface, interfaces)
	}
}

// checkMember checks that some virtual router has a priority for this node.
func (l *loader) checkMember(node string) {
	if l.nodesUnknown || len(l.vrrp) == 0 || l.opt.Node == "" && !l.node.sound() {
		return
	}
	for _, b := range l.vrrp {
		if b.Priorities.For(node) != 0 {
			return
		}
	}
	at := l.vrrp[0].priority
	if l.opt.Node == "" && l.node.set {
		at = l.node.place
	}
	names := l.nodeNames()
	what := problem{
		message: fmt.Sprintf("this node, %q, is in none of the priority tables", node),
		legal:   "known nodes: " + list(names),
	}
	if near := nearest(node, names); near != "" {
		what.suggestion = near
	}
	l.found.add(at, what)
}
