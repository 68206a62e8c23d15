package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// attributeFields are the keys of a service that go to the kernel as they are,
// where they stand.
type attributeFields struct {
	persistence field[time.Duration]
	flags       []field[string]
	mask        field[string]
	prefix      uint8
	prefix6     field[int64]
	engine      field[string]
	onePacket   field[bool]
	tunnel      *table
	kind        field[string]
	port        field[int64]
	checksum    field[string]
}

func (l *loader) decodeAttributes(t *table) attributeFields {
	f := attributeFields{persistence: t.duration("persistence", persistenceSpan())}
	flags, _ := t.strings("scheduler_flags", list(schedulerFlags()))
	for _, flag := range flags {
		t.refuseTemplate(&flag)
		if flag.good && !slices.Contains(schedulerFlags(), flag.value) {
			what := problem{message: "unknown flag", legal: list(schedulerFlags())}
			if near := nearest(flag.value, schedulerFlags()); near != "" {
				what.suggestion = strconv.Quote(near)
			}
			t.found.add(flag.place, what)
			continue
		}
		f.flags = append(f.flags, flag)
	}
	if f.mask = t.str("persistence_mask", maskLegal); f.mask.good {
		var what problem
		if f.prefix, what = parseMask(f.mask.value); what.message != "" {
			f.mask.good = false
			t.found.add(f.mask.place, what)
		}
	}
	f.prefix6 = t.number("persistence_prefix", 1, 128)
	f.engine = t.choice("persistence_engine", engines())
	f.onePacket = t.truth("one_packet")
	if c, present, ok := t.child("tunnel"); present && ok {
		f.tunnel = c
		f.kind = c.choice("type", tunnelTypes())
		f.port = c.number("port", 1, 65535)
		f.checksum = c.choice("checksum", tunnelChecksums())
		c.finish()
	}
	return f
}

const maskLegal = `a mask such as "255.255.255.0", or its length: "/24"`

// parseMask reads the mask that groups the clients of persistence.
func parseMask(text string) (uint8, problem) {
	if length, ok := strings.CutPrefix(text, "/"); ok {
		n, err := strconv.ParseUint(length, 10, 8)
		if err != nil || n < 1 || n > 32 {
			return 0, problem{message: "not a length of a mask", legal: `"/1" to "/32"`}
		}
		return uint8(n), problem{}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is4() {
		return 0, problem{message: "not a mask", legal: maskLegal}
	}
	bits := uint8(0)
	a := addr.As4()
	for i := range 32 {
		switch one := a[i/8]&(0x80>>(i%8)) != 0; {
		case one && int(bits) < i:
			return 0, problem{message: "a mask with a gap", legal: maskLegal}
		case one:
			bits++
		}
	}
	if bits == 0 {
		return 0, problem{message: "a mask of nothing: all clients would have one real server", legal: maskLegal}
	}
	return bits, problem{}
}

// attributes checks the keys against one another and returns what they say. It
// reasons about nothing that is wrong already.
func (f attributeFields) attributes(b *serviceBlock, found *findings) Attributes {
	a := Attributes{
		PersistencePrefix: f.prefix, PersistencePrefix6: uint8(f.prefix6.or(0)), PersistenceEngine: f.engine.or(""), OnePacket: f.onePacket.or(false),
	}
	for i, flag := range f.flags {
		scheduler, _, _ := strings.Cut(flag.value, "-")
		switch {
		case !flag.good:
		case b.scheduler.sound() && scheduler != b.scheduler.or(defaultScheduler):
			found.add(flag.place, problem{
				message: fmt.Sprintf("scheduler %s does not have this flag", b.scheduler.or(defaultScheduler)), legal: "only with scheduler = " + strconv.Quote(scheduler),
			})
		case slices.ContainsFunc(f.flags[:i], func(o field[string]) bool { return o.value == flag.value }):
			found.add(flag.place, problem{message: "the flag is in the list already", legal: "each flag once"})
		default:
			a.SchedulerFlags = append(a.SchedulerFlags, flag.value)
		}
	}
	slices.Sort(a.SchedulerFlags)
	if f.persistence.sound() && f.persistence.or(0) == 0 {
		const legal = "together with persistence, or leave it out"
		for _, p := range []struct {
			place place
			set   bool
		}{{f.mask.place, f.mask.good}, {f.prefix6.place, f.prefix6.good}, {f.engine.place, f.engine.good}} {
			if p.set {
				found.add(p.place, problem{message: "no effect without persistence", legal: legal})
			}
		}
	} else if f.engine.good && b.protocol.sound() && b.protocol.or(defaultProtocol) != "udp" {
		found.add(f.engine.place, problem{message: fmt.Sprintf("the engine %s reads datagrams", f.engine.value), legal: `only with protocol = "udp"`})
	}
	if f.onePacket.or(false) && b.protocol.sound() && b.protocol.or(defaultProtocol) != "udp" {
		found.add(f.onePacket.place, problem{message: "only datagrams can be balanced one by one", legal: `only with protocol = "udp"`})
	}
	f.checkTunnel(b, found)
	if b.forward.or(defaultForward) == "tun" {
		a.Tunnel = Tunnel{Type: f.kind.or(defaultTunnel), Port: uint16(f.port.or(0)), Checksum: f.checksum.or(defaultTunnelChecksum)}
	}
	return a
}

func (f attributeFields) checkTunnel(b *serviceBlock, found *findings) {
	if f.tunnel == nil || !f.kind.sound() {
		return
	}
	kind := f.kind.or(defaultTunnel)
	at := f.tunnel.place
	at.text = ""
	switch {
	case b.forward.sound() && b.forward.or(defaultForward) != "tun":
		found.add(at, problem{message: fmt.Sprintf("forward = %q has no tunnel", b.forward.or(defaultForward)), legal: `only with forward = "tun"`})
	case kind == "gue" && !f.port.set:
		found.add(at, problem{message: `the key "port" is missing: GUE is carried by UDP`, legal: "the port that the real servers listen on"})
	case kind != "gue" && f.port.good:
		found.add(f.port.place, problem{message: fmt.Sprintf("a tunnel of type %s has no port", kind), legal: `only with type = "gue"`})
	case kind == "ipip" && f.checksum.or(defaultTunnelChecksum) != defaultTunnelChecksum:
		found.add(f.checksum.place, problem{message: "a tunnel of type ipip has no checksum", legal: `only with type = "gue" or "gre"`})
	case kind == "gre" && f.checksum.value == "remote":
		found.add(f.checksum.place, problem{message: "a tunnel of type gre cannot leave its checksum to the real server", legal: "none, full"})
	}
}

// thresholds reads the limits of connections of a real server.
func thresholds(t *table) (upper, lower uint32) {
	u, w := t.number("upper", 1, 1<<32-1), t.number("lower", 1, 1<<32-1)
	switch {
	case w.good && !u.set:
		t.found.add(w.place, problem{message: "no effect without upper", legal: "together with upper, or leave it out"})
	case w.good && u.good && w.value > u.value:
		t.found.add(w.place, problem{message: fmt.Sprintf("above upper = %d", u.value), legal: fmt.Sprintf("1 to %d", u.value)})
	}
	return uint32(u.or(0)), uint32(w.or(0))
}
