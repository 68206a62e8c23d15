package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// vrrpBlock is one [[vrrp]] as it is read: the result and where its parts stand.
type vrrpBlock struct {
	VRRP
	head      place
	name      field[string]
	iface     field[string]
	routerID  field[int64]
	delay     field[time.Duration]
	addresses []vipField
	peers     []peerField
	extra     []extraField
	routes    []routeField
	rules     []ruleField
	priority  place
	byNode    map[string]field[int64]
	track     []trackBlock
	notify    notifyBlock

	checksum field[string]
	// peersUnread says that some peer is not in peers.
	peersUnread bool
}

// vipField is one element of addresses.
type vipField struct {
	field[string]
	prefix netip.Prefix
	known  bool // prefix is valid
}

// blockName is the path of a block: by its name if it has one, else as given.
func blockName(kind string, t *table) path {
	if name, ok := t.values["name"].(string); ok && name != "" {
		return path{block: kind + " " + shorten(strconv.Quote(name))}
	}
	return t.path
}

func (l *loader) decodeVRRP(t *table) *vrrpBlock {
	t.path = blockName("vrrp", t)
	b := &vrrpBlock{head: t.place}
	t.require("name")
	t.require("interface")
	t.require("router_id")
	t.require("addresses")

	b.name = t.name("name")
	b.iface = t.templated("interface", interfaceLegal)
	b.routerID = t.number("router_id", 1, 255)
	l.decodeAdverts(t, b)
	preempt := t.truth("preempt")
	b.delay = t.duration("preempt_delay", preemptDelaySpan())
	l.decodePriority(t, b)
	vmac := t.truth("vmac")
	b.VMAC = vmac.or(false)
	addresses, complete := t.strings("addresses", vipLegal)
	if len(addresses) > 255 {
		t.found.add(addresses[255].place, problem{message: "more addresses than an advert can name", legal: "at most 255"})
		addresses, complete = addresses[:255], false
	}
	for _, f := range addresses {
		b.addresses = append(b.addresses, vipField{field: f})
	}
	l.decodeMoving(t, b)
	garp := l.decodeGARP(t)
	b.track = l.decodeTrack(t)
	b.notify = l.decodeNotify(t)
	l.vipsUnknown = l.vipsUnknown || !complete
	t.finish()
	if _, unicast := t.values["peers"]; unicast && b.VMAC {
		t.found.add(vmac.place, problem{
			message: "with peers no advert shows the switches where the MAC address is",
			legal:   "only without peers",
		})
	}
	if b.delay.good && preempt.good && !preempt.value {
		t.found.add(b.delay.place, problem{message: "no effect with preempt = false", legal: "leave one of the two out"})
	}
	b.VRRP = VRRP{
		Name:           b.name.value,
		RouterID:       uint8(b.routerID.or(0)),
		Version:        b.Version,
		Checksum:       b.Checksum,
		Authentication: b.Authentication,
		Priorities:     b.Priorities,
		Interval:       b.Interval,
		Preempt:        preempt.or(true),
		PreemptDelay:   b.delay.or(0),
		Peers:          b.Peers,
		MinTTL:         b.MinTTL,
		VMAC:           b.VMAC,
		GARP:           garp,
		Track:          trackers(b.track),
		Notify:         b.notify.Notify,
	}
	for _, f := range b.extra {
		b.VRRP.Also = append(b.VRRP.Also, f.Extra)
		l.host.vips[f.Prefix.Addr()] = true
	}
	for _, f := range b.routes {
		b.VRRP.Routes = append(b.VRRP.Routes, f.Route)
	}
	for _, f := range b.rules {
		b.VRRP.Rules = append(b.VRRP.Rules, f.Rule)
	}
	return b
}

// decodePriority reads one number, or a table of numbers by node name.
func (l *loader) decodePriority(t *table, b *vrrpBlock) {
	v, ok := t.get("priority")
	b.priority = v.place
	switch data := v.data.(type) {
	case map[string]any:
		l.decodePriorities(v, data, b)
	case int64:
		if f := v.number(1, 255); f.good {
			b.Priorities.All = uint8(f.value)
		} else {
			l.nodesUnknown = true
		}
	default:
		if !ok {
			b.Priorities.All = defaultPriority
			return
		}
		l.nodesUnknown = true
		v.mismatch("a number or a table by node name", "1 to 255, or { lvs1 = 150, lvs2 = 100 }", "")
	}
}

func (l *loader) decodePriorities(v value, data map[string]any, b *vrrpBlock) {
	b.byNode = map[string]field[int64]{}
	b.Priorities.ByNode = map[string]uint8{}
	if len(data) == 0 {
		l.nodesUnknown = true
		v.found.add(v.place, problem{message: "names no node", legal: "a priority for each director: { lvs1 = 150, lvs2 = 100 }"})
		return
	}
	nodes := v.table(data)
	for node := range data {
		f := nodes.number(node, 1, 255)
		if !isName(node) {
			p := f.place
			p.offset, p.text = nodes.entry.child(node).key, ""
			v.found.add(p, problem{message: "not a node name", legal: nameLegal})
			l.nodesUnknown = true
			continue
		}
		// A node with an illegal priority is known all the same.
		b.Priorities.ByNode[node] = uint8(f.or(defaultPriority))
		if f.good {
			b.byNode[node] = f
		}
	}
	// A thousand blocks have the same table mostly, and one map then.
	if maps.Equal(b.Priorities.ByNode, l.priorities) {
		b.Priorities.ByNode = l.priorities
	}
	l.priorities = b.Priorities.ByNode
}

func (l *loader) decodeGARP(t *table) GARP {
	g := defaultGARP()
	c, present, ok := t.child("garp")
	if !ok || !present {
		return g
	}
	burst := c.number("burst", 1, 100)
	spacing := c.duration("spacing", spacingSpan())
	again := c.duration("again", againSpan())
	refresh := c.duration("refresh", refreshSpan())
	c.finish()
	g = GARP{
		Burst:   int(burst.or(int64(g.Burst))),
		Spacing: spacing.or(g.Spacing),
		Again:   again.or(g.Again),
		Refresh: refresh.or(g.Refresh),
	}
	if !burst.sound() || !spacing.sound() {
		return g
	}
	length := time.Duration(g.Burst-1) * g.Spacing
	for _, next := range []struct {
		field[time.Duration]
		name  string
		value time.Duration
	}{{again, "again", g.Again}, {refresh, "refresh", g.Refresh}} {
		if !next.sound() || next.value == 0 || next.value > length {
			continue
		}
		at, what := next.place, "the first burst is not over by then"
		if !next.set {
			at = c.place
			what = fmt.Sprintf("the first burst is not over when %s = %q begins", next.name, plain(next.value))
		}
		c.found.add(at, problem{
			message: what,
			legal:   fmt.Sprintf("more than (burst - 1) * spacing = %q", plain(length)),
		})
		break
	}
	return g
}

// resolveVIPs fills in the addresses of all blocks: first the plain ones, then,
// without those, what the templates yield.
func (l *loader) resolveVIPs() {
	for _, templates := range []bool{false, true} {
		for _, b := range l.vrrp {
			for i := range b.addresses {
				f := &b.addresses[i]
				if f.good && isTemplate(f.value) == templates {
					f.prefix, f.known = resolve(l, f.field, parseVIP)
					l.vipsUnknown = l.vipsUnknown || !f.known
				}
			}
		}
		for _, b := range l.vrrp {
			for _, f := range b.addresses {
				if f.known {
					l.host.vips[f.prefix.Addr()] = true
				}
			}
		}
	}
	for _, b := range l.vrrp {
		for _, f := range b.addresses {
			if f.known {
				b.VRRP.Addresses = append(b.VRRP.Addresses, f.prefix)
			}
		}
	}
}

// resolveInterface fills in the interface of b.
func (l *loader) resolveInterface(b *vrrpBlock) {
	b.VRRP.Interface, b.VRRP.InterfaceTemplate = l.interfaceOf(&b.iface)
}

// nodeNames returns the names in all priority tables, sorted.
func (l *loader) nodeNames() []string {
	var names []string
	for _, b := range l.vrrp {
		for name := range b.Priorities.ByNode {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
