package vrrptest

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/haldir-lb/haldir/vrrp"
)

// queueLen is how many datagrams a port holds for its receiver.
const queueLen = 512

// Host is one machine on a LAN. It implements vrrp.Network.
type Host struct {
	lan       *LAN
	name      string
	ifname    string
	up        bool
	gone      bool
	sendError error
	failTo    map[netip.Addr]error
	recvError error
	addresses []netip.Addr
	ports     []*port
}

// SetAddresses replaces the addresses of the interface.
func (h *Host) SetAddresses(addresses ...netip.Addr) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	h.addresses = addresses
}

// SetExists removes the interface or brings it back. As on Linux, ports that were
// open fall silent for good.
func (h *Host) SetExists(exists bool) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	h.gone = !exists
	if !exists {
		for _, p := range h.ports {
			p.stale = true
		}
		h.ports = nil
	}
}

// SetCable plugs the cable in or out: without it nothing is sent or received.
// Nobody is told.
func (h *Host) SetCable(in bool) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	h.up = in
}

// FailSends makes every Send fail with err; nil ends that.
func (h *Host) FailSends(err error) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	h.sendError = err
}

// FailSendsTo makes every message to one destination fail with err; nil ends that.
func (h *Host) FailSendsTo(destination netip.Addr, err error) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	if h.failTo == nil {
		h.failTo = map[netip.Addr]error{}
	}
	h.failTo[destination] = err
}

// FailReceives makes every Receive fail with err, also those that wait; nil ends
// that.
func (h *Host) FailReceives(err error) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	h.recvError = err
	for _, p := range h.ports {
		p.signal()
	}
}

// OpenPorts returns how many ports are open.
func (h *Host) OpenPorts() int {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	return len(h.ports)
}

// Listening returns how many ports are open that listen to a VRID.
func (h *Host) Listening(vrid uint8) (n int) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	for _, p := range h.ports {
		if p.vrids.Has(vrid) {
			n++
		}
	}
	return n
}

// Open implements vrrp.Network.
func (h *Host) Open(ifname string) (vrrp.Port, error) { return h.open(ifname, vrrp.IPv4) }

// Open6 implements vrrp.Network.
func (h *Host) Open6(ifname string) (vrrp.Port, error) { return h.open(ifname, vrrp.IPv6) }

func (h *Host) open(ifname string, family vrrp.Family) (vrrp.Port, error) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	if h.gone || ifname != h.ifname {
		return nil, fmt.Errorf("opening %s: no such interface", ifname)
	}
	p := &port{host: h, family: family, ready: make(chan struct{}, 1), closed: make(chan struct{}), slots: make([]vrrp.Datagram, queueLen)}
	for i := range p.vrids {
		p.vrids[i] = ^uint32(0)
	}
	h.ports = append(h.ports, p)
	return p, nil
}

// deliver queues a datagram at every port of its family; the caller holds the
// lock.
func (h *Host) deliver(d *vrrp.Datagram) {
	if !h.up {
		return
	}
	for _, p := range h.ports {
		if p.family == vrrp.FamilyOf(d.Destination) {
			p.enqueue(d)
		}
	}
}

// port implements vrrp.Port. The LAN's lock guards its fields.
type port struct {
	host   *Host
	family vrrp.Family
	ready  chan struct{} // capacity 1: the queue is not empty
	closed chan struct{}
	stale  bool // the interface is gone
	ended  bool
	vrids  vrrp.VRIDs
	source netip.Addr

	slots       []vrrp.Datagram // ring; Buffer holds the octets
	first, used int
}

func (p *port) Source(exclude []netip.Addr) (netip.Addr, error) {
	l := p.host.lan
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.stale {
		return netip.Addr{}, fmt.Errorf("interface %s is gone", p.host.ifname)
	}
	real := slices.DeleteFunc(slices.Clone(p.host.addresses), func(a netip.Addr) bool {
		return slices.Contains(exclude, a) || vrrp.FamilyOf(a) != p.family || p.family == vrrp.IPv6 && !a.IsLinkLocalUnicast()
	})
	if len(real) == 0 {
		return netip.Addr{}, fmt.Errorf("interface %s: %w", p.host.ifname, vrrp.ErrNoSource)
	}
	if !slices.Contains(real, p.source) {
		p.source = real[0]
	}
	return p.source, nil
}

func (p *port) Send(source netip.Addr, messages [][]byte) (int, error) {
	return p.send(source, len(messages), func(i int) vrrp.Outgoing { return vrrp.Outgoing{To: p.family.Group(), Message: messages[i]} })
}

func (p *port) SendTo(source netip.Addr, messages []vrrp.Outgoing) (int, error) {
	return p.send(source, len(messages), func(i int) vrrp.Outgoing {
		o := messages[i]
		if !o.To.IsValid() {
			o.To = p.family.Group()
		}
		return o
	})
}

func (p *port) send(source netip.Addr, n int, message func(i int) vrrp.Outgoing) (int, error) {
	l := p.host.lan
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case p.ended:
		return 0, net.ErrClosed
	case p.stale:
		return 0, fmt.Errorf("sending on %s: no such interface", p.host.ifname)
	case p.host.sendError != nil:
		return 0, p.host.sendError
	}
	if !p.host.up {
		return n, nil
	}
	for i := range n {
		o := message(i)
		if err := p.host.failTo[o.To]; err != nil {
			return i, err
		}
		l.send(p.host, source, o)
	}
	return n, nil
}

func (p *port) Receive(into []vrrp.Datagram) (int, error) {
	for {
		if n, err := p.dequeue(into); n > 0 || err != nil {
			return n, err
		}
		select {
		case <-p.ready:
		case <-p.closed:
		}
	}
}

func (p *port) Listen(vrids vrrp.VRIDs) error {
	p.host.lan.mu.Lock()
	defer p.host.lan.mu.Unlock()
	p.vrids = vrids
	return nil
}

func (p *port) Close() error {
	l := p.host.lan
	l.mu.Lock()
	defer l.mu.Unlock()
	if !p.ended {
		p.ended = true
		close(p.closed)
		p.host.ports = slices.DeleteFunc(p.host.ports, func(q *port) bool { return q == p })
	}
	return nil
}

// enqueue copies a datagram into the ring, if there is room.
func (p *port) enqueue(d *vrrp.Datagram) {
	if p.used == len(p.slots) || len(d.Payload) >= 2 && !p.vrids.Has(d.Payload[1]) {
		return
	}
	slot := &p.slots[(p.first+p.used)%len(p.slots)]
	buffer := append(slot.Buffer[:0], d.Payload...)
	*slot = *d
	slot.Buffer, slot.Payload = buffer, buffer
	p.used++
	p.signal()
}

// signal wakes Receive.
func (p *port) signal() {
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

// dequeue copies what is queued, as much as there is room for.
func (p *port) dequeue(into []vrrp.Datagram) (int, error) {
	l := p.host.lan
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.ended {
		return 0, net.ErrClosed
	}
	if p.host.recvError != nil {
		return 0, p.host.recvError
	}
	n := min(p.used, len(into))
	for i := range n {
		slot := &p.slots[p.first]
		buffer := into[i].Buffer
		into[i] = *slot
		into[i].Buffer = buffer
		into[i].Payload = buffer[:copy(buffer, slot.Payload)]
		p.first = (p.first + 1) % len(p.slots)
		p.used--
	}
	return n, nil
}
