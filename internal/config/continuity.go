package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// ConnectionSync has the directors tell one another their connections, by the
// daemons of the kernel.
type ConnectionSync struct {
	// Interface carries the messages. InterfaceTemplate is what yielded it, or empty.
	Interface, InterfaceTemplate string
	ID                           uint8         // 1..255, of this pair on the network
	Group                        netip.Addr    // IPv4 multicast
	Port                         uint16        // UDP
	TTL                          uint8         // 1..255
	Refresh                      time.Duration // whole seconds: how often a connection in use is told again
	Retries                      uint8         // 0..3: how often a message is repeated in between
	Queue                        uint32        // messages that may wait to be sent; 0 is the kernel's choice
}

// syncBlock is [connection_sync] as it is read.
type syncBlock struct {
	ConnectionSync
	head  place
	iface field[string]
}

// continuityFields are the keys of a service about what a takeover leaves of
// its connections, where they stand.
type continuityFields struct {
	load      field[string]
	stateless field[bool]
}

// loads says where a service is in the kernel's table.
func loads() []string { return []string{defaultLoad, loadAlways} }

const (
	defaultLoad        = "master"
	loadAlways         = "always"
	statelessScheduler = "mh"
	defaultSyncPort    = 8848
	defaultSyncTTL     = 1
	defaultSyncRefresh = 10 * time.Second
	defaultSyncRetries = 1
)

var defaultSyncGroup = netip.AddrFrom4([4]byte{224, 0, 0, 81})

func syncRefreshSpan() span { return span{low: time.Second, high: 10 * time.Minute, step: time.Second} }

func connectionSyncKeys() []string {
	return []string{"interface", "id", "group", "port", "ttl", "refresh", "retries", "queue"}
}

func (l *loader) decodeContinuity(t *table) continuityFields {
	return continuityFields{load: t.choice("load", loads()), stateless: t.truth("stateless")}
}

func (l *loader) decodeConnectionSync(t *table) {
	b := &syncBlock{head: t.place}
	t.require("interface")
	t.require("id")
	b.iface = t.templated("interface", interfaceLegal)
	id := t.number("id", 1, 255)
	group := t.str("group", groupLegal)
	port := t.number("port", 1, 65535)
	ttl := t.number("ttl", 1, 255)
	refresh := t.duration("refresh", syncRefreshSpan())
	retries := t.number("retries", 0, 3)
	queue := t.number("queue", 1, 1<<31-1)
	t.finish()
	b.ConnectionSync = ConnectionSync{
		ID: uint8(id.or(0)), Group: defaultSyncGroup, Port: uint16(port.or(defaultSyncPort)), TTL: uint8(ttl.or(defaultSyncTTL)),
		Refresh: refresh.or(defaultSyncRefresh), Retries: uint8(retries.or(defaultSyncRetries)), Queue: uint32(queue.or(0)),
	}
	if group.good {
		addr, what := parseGroup(group.value)
		if what.message != "" {
			l.found.add(group.place, what)
		} else {
			b.Group = addr
		}
	}
	l.sync = b
}

const groupLegal = `an IPv4 multicast address, as in "224.0.0.81"`

func parseGroup(text string) (netip.Addr, problem) {
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return addr, problem{"not an address" + reason(err), groupLegal, ""}
	case !addr.Is4() || !addr.IsMulticast():
		return addr, problem{"not an IPv4 multicast address", groupLegal, ""}
	}
	return addr, problem{}
}

// resolveSync fills in the interface of [connection_sync].
func (l *loader) resolveSync() {
	if l.sync != nil {
		l.sync.Interface, l.sync.InterfaceTemplate = l.interfaceOf(&l.sync.iface)
	}
}

// checkContinuity checks what a service asks for against how a takeover works.
func (l *loader) checkContinuity(b *serviceBlock) {
	f := b.continuity
	b.Service.LoadAlways, b.Service.Stateless = f.load.or(defaultLoad) == loadAlways, f.stateless.or(false)
	synced := l.sync != nil && !b.Service.Stateless
	if b.Service.Stateless {
		l.checkStateless(b)
	}
	if !synced || b.Service.LoadAlways || !f.load.sound() {
		return
	}
	at := f.load.place
	if !f.load.set {
		at = b.head
		at.text = ""
	}
	switch {
	case b.Service.Forward == "tun" && b.forward.sound():
		l.found.add(at, problem{
			message: "a connection through a tunnel ends in a takeover if the new master learned of it before it knew the real servers",
			legal:   `load = "always" wherever there is [connection_sync] and forward = "tun"`,
		})
	case b.Service.Persistence > 0:
		l.found.warn(at, problem{
			message: "clients lose their real server in a takeover: the new master learns of it before it knows the real servers",
			legal:   `load = "always" beside persistence and [connection_sync]`,
		})
	}
}

func (l *loader) checkStateless(b *serviceBlock) {
	f := b.continuity.stateless
	hashing := []string{"mh", "sh"}
	switch {
	case b.Service.Forward == "nat":
		l.found.add(f.place, problem{
			message: "with NAT the answers pass the director too, and only its own memory of a connection tells it whose they are",
			legal:   `forward = "dr" or "tun"; with NAT, [connection_sync]`,
		})
	case !b.scheduler.set:
		b.Service.Scheduler = statelessScheduler
	case b.scheduler.good && !slices.Contains(hashing, b.scheduler.value):
		l.found.add(b.scheduler.place, problem{
			message: "with stateless = true the real server must follow from the client's address alone",
			legal:   list(hashing), suggestion: strconv.Quote(statelessScheduler),
		})
	}
	if b.Service.Persistence > 0 {
		l.found.add(f.place, problem{
			message: "persistence is a memory of the director, which another one does not have",
			legal:   "stateless or persistence; mh and sh keep a client on its real server anyway",
		})
	}
}

// checkSync checks [connection_sync] against the services and this host.
func (l *loader) checkSync(node string) {
	if l.sync == nil {
		return
	}
	if len(l.services) == 0 && len(l.pending) == 0 && len(l.elsewhere) == 0 {
		l.found.add(l.sync.head, problem{message: "there is no [[service]], so there are no connections to synchronise"})
	}
	if !l.opt.RequireDirector || l.opt.Interfaces == nil || !l.sync.iface.good || !l.directs(node) {
		return
	}
	interfaces, err := l.opt.Interfaces()
	if err != nil {
		l.found.add(l.sync.iface.place, problem{message: fmt.Sprintf("the interface cannot be looked for: %v", err)})
		return
	}
	l.checkPresent(l.sync.iface, l.sync.Interface, interfaces)
}

// directs reports whether a node has a part in some virtual router.
func (l *loader) directs(node string) bool {
	return slices.ContainsFunc(l.vrrp, func(b *vrrpBlock) bool { return b.Priorities.For(node) != 0 })
}

// checkPresent checks that this host has an interface.
func (l *loader) checkPresent(f field[string], name string, interfaces []string) {
	if slices.Contains(interfaces, name) {
		return
	}
	what := problem{message: fmt.Sprintf("this host has no interface %q", name), legal: shorten(list(interfaces))}
	if near := nearest(name, interfaces); near != "" {
		what.suggestion = strconv.Quote(near)
	}
	l.found.add(f.place, what)
}

// interfaceOf resolves the name of an interface, and says which template
// yielded it, if any.
func (l *loader) interfaceOf(f *field[string]) (name, template string) {
	if !f.good {
		return "", ""
	}
	if !isTemplate(f.value) {
		if what := checkInterface(f.value); what.message != "" {
			f.good = false
			l.found.add(f.place, what)
			return "", ""
		}
		return f.value, ""
	}
	name, what, ours := l.host.one(f.value)
	if what.message == "" {
		if what = checkInterface(name); what.message != "" {
			what.message = fmt.Sprintf("the template yields %q: %s", name, what.message)
		}
	}
	switch {
	case what.message == "":
		return name, f.value
	case ours && !l.opt.RequireDirector:
		// This host may be a real server, whose interfaces are no concern here.
		l.found.warn(f.place, what)
	default:
		f.good = false
		l.found.add(f.place, what)
	}
	return "", f.value
}

type canonicalSync struct {
	Interface string `toml:"interface"`
	ID        int    `toml:"id"`
	Group     string `toml:"group"`
	Port      int    `toml:"port"`
	TTL       int    `toml:"ttl"`
	Refresh   string `toml:"refresh"`
	Retries   int    `toml:"retries"`
	Queue     int64  `toml:"queue,omitzero"`
}

func canonicalSyncOf(s *ConnectionSync) *canonicalSync {
	if s == nil {
		return nil
	}
	return &canonicalSync{
		Interface: cmp.Or(s.InterfaceTemplate, s.Interface), ID: int(s.ID), Group: s.Group.String(), Port: int(s.Port), TTL: int(s.TTL),
		Refresh: plain(s.Refresh), Retries: int(s.Retries), Queue: int64(s.Queue),
	}
}
