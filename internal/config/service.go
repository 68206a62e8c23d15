package config

import (
	"fmt"
	"net/netip"
	"strconv"
)

// serviceBlock is one [[service]] as it is read: the result and where its parts stand.
type serviceBlock struct {
	Service
	head      place
	name      field[string]
	protocol  field[string]
	scheduler field[string]
	forward   field[string]
	receive   field[string]
	listen    []listenField
	real      []realField
	unread    bool // some real server is not in real
	pool      poolFields

	attributes attributeFields
	continuity continuityFields
	mark       field[int64]
	marked     []Range
}

type listenField struct {
	field[string]
	at netip.AddrPort
	to uint16 // the last port of a range that stays one
}

type realField struct {
	field[string]
	Real
}

func (l *loader) decodeService(t *table) *serviceBlock {
	t.path = blockName("service", t)
	b := &serviceBlock{head: t.place}
	t.require("name")
	t.require("listen")
	t.require("real")

	b.name = t.name("name")
	b.protocol = t.choice("protocol", protocols())
	b.scheduler = t.choice("scheduler", schedulers())
	b.forward = t.choice("forward", forwards())
	b.attributes = l.decodeAttributes(t)
	l.decodeListeners(t, b)
	pool := l.decodePool(t, b)
	b.continuity = l.decodeContinuity(t)
	b.receive = t.choice("receive", receives())
	checks, alone := l.decodeChecks(t, nil, false)
	healthy := t.choice("healthy_when", healthyWhen())
	l.decodeReals(t, b, alone)
	t.finish()

	b.Service = Service{
		Name:        b.name.value,
		Protocol:    b.protocol.or(defaultProtocol),
		Scheduler:   b.scheduler.or(defaultScheduler),
		Forward:     b.forward.or(defaultForward),
		Persistence: b.attributes.persistence.or(0),
		Attributes:  b.attributes.attributes(b, t.found),
		Pool:        pool,
		Checks:      checks,
		HealthyWhen: healthy.or(defaultHealthyWhen),
	}
	for _, f := range b.listen {
		b.Service.Listen = append(b.Service.Listen, f.at)
	}
	return b
}

func (l *loader) decodeReals(t *table, b *serviceBlock, check *table) {
	reals, _ := t.children("real")
	for _, rt := range reals {
		rt.require("address")
		address := rt.templated("address", realLegal)
		weight := rt.number("weight", 0, 65535)
		upper, lower := thresholds(rt)
		checks, _ := l.decodeChecks(rt, check, true)
		rt.finish()
		if !address.good {
			b.unread = true
			continue
		}
		type endpoint struct {
			addr netip.Addr
			port uint16
		}
		e, ok := resolve(l, address, func(text string) (endpoint, problem) {
			addr, port, what := parseReal(text)
			return endpoint{addr, port}, what
		})
		if !ok {
			b.unread = true
			continue
		}
		b.real = append(b.real, realField{address, Real{Address: e.addr, Port: e.port, Weight: uint32(weight.or(defaultWeight)), Upper: upper, Lower: lower, Checks: checks}})
	}
}

// checkReals checks the real servers of b against its listeners and the virtual
// addresses, and writes those that are right into the result.
func (l *loader) checkReals(b *serviceBlock) {
	seen := map[netip.AddrPort]place{}
	for _, r := range b.real {
		if what := l.checkReal(b, &r); what.message != "" {
			l.found.add(r.place, what)
			continue
		}
		duplicate := false
		for _, listen := range b.listen {
			key := netip.AddrPortFrom(r.Address, b.portOf(r.Real, listen.at))
			if first, ok := seen[key]; ok && first.offset != r.offset {
				l.found.add(r.place, problem{message: fmt.Sprintf("real server %s is in this service already, at %s", key, first.seenFrom(r.place))})
				duplicate = true
				break
			}
			seen[key] = r.place
		}
		if !duplicate {
			b.Service.Real = append(b.Service.Real, r.Real)
		}
	}
}

// checkReal checks one real server. A port that says what the listeners say
// anyway is dropped, so that there is one form of each meaning.
func (l *loader) checkReal(b *serviceBlock, r *realField) problem {
	if l.host.vips[r.Address] {
		return problem{
			message: fmt.Sprintf("%s is a virtual address, which the director itself holds", r.Address),
			legal:   "the real server's own address",
		}
	}
	if r.Port == 0 || !b.forward.sound() {
		return problem{}
	}
	same := true
	for _, listen := range b.listen {
		if listen.at.Port() == r.Port {
			continue
		}
		same = false
		if forward := b.Service.Forward; !b.mapsPorts() && b.receive.sound() {
			return problem{
				message: fmt.Sprintf("port %d differs from the service's port %d, and %s cannot map ports", r.Port, listen.at.Port(), forward),
				legal:   b.portLegal(),
				// The address without its port is what works with this forwarding mode.
				suggestion: strconv.Quote(r.Address.String()),
			}
		}
	}
	if same {
		r.Real.Port = 0
	}
	r.Redirects = b.Service.Redirect && r.Real.Port != 0
	return problem{}
}

// totalWeight is the sum of all real servers' weights.
func (b *serviceBlock) totalWeight() (sum uint64) {
	for _, r := range b.Service.Real {
		sum += uint64(r.Weight)
	}
	return sum
}
