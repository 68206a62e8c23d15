package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
)

// checkListeners finds what two services listen on.
func (l *loader) checkListeners() {
	type listener struct {
		at       netip.Addr
		protocol string
	}
	type port struct {
		listener
		port uint16
	}
	// Most listeners have one port; those with a range are few, and are searched.
	ports, ranges := map[port]listenField{}, map[listener][]listenField{}
	wide := map[listener]bool{}
	for _, b := range l.services {
		for _, f := range b.listen {
			if f.to != f.at.Port() {
				wide[listener{f.at.Addr(), b.Service.Protocol}] = true
			}
		}
	}
	for _, b := range l.services {
		if !b.protocol.sound() {
			continue
		}
		said := -1 // a range gets one message
		for _, f := range b.listen {
			if f.offset == said {
				continue
			}
			key := listener{f.at.Addr(), b.Service.Protocol}
			first, taken := ports[port{key, f.at.Port()}]
			if wide[key] {
				overlaps := func(o listenField) bool { return o.at.Port() <= f.to && f.at.Port() <= o.to }
				i := slices.IndexFunc(ranges[key], overlaps)
				if taken = i >= 0; taken {
					first = ranges[key][i]
				}
			}
			if taken {
				l.found.add(f.place, problem{message: fmt.Sprintf("%s %s is balanced already, at %s", key.protocol, f.at, first.seenFrom(f.place))})
				said = f.offset
				continue
			}
			ports[port{key, f.at.Port()}] = f
			if wide[key] {
				ranges[key] = append(ranges[key], f)
			}
		}
	}
}

// checkHeld finds the virtual router that holds the addresses of b.
func (l *loader) checkHeld(b *serviceBlock) {
	holders := l.holders()
	found, said := false, -1 // a range gets one message
	for _, f := range b.listen {
		holder, ok := holders[f.at.Addr()]
		switch {
		case f.offset == said:
		case !ok && !l.vipsUnknown:
			all := l.held()
			what := problem{message: fmt.Sprintf("no [[vrrp]] block holds %s", f.at.Addr()), legal: shorten(list(all))}
			if near := nearest(f.at.Addr().String(), all); near != "" && len(all) > 1 {
				what.suggestion = strconv.Quote(net.JoinHostPort(near, strconv.Itoa(int(f.at.Port()))))
			}
			l.found.add(f.place, what)
			said = f.offset
		case ok && !found:
			b.Service.VRRP, found = holder, true
			b.Service.Single = l.single(b, holder)
		case ok && holder != b.Service.VRRP:
			l.found.add(f.place, problem{
				message: fmt.Sprintf("held by vrrp %q, but the listener before it by vrrp %q, which may be master elsewhere", holder, b.Service.VRRP),
				legal:   "a service for each",
			})
			said = f.offset
		}
	}
}

// holders are the names of the blocks by the addresses that they hold.
func (l *loader) holders() map[netip.Addr]string {
	if l.holder != nil {
		return l.holder
	}
	l.holder = map[netip.Addr]string{}
	for _, v := range l.vrrp {
		for _, p := range v.VRRP.Addresses {
			l.holder[p.Addr()] = v.VRRP.Name
		}
		for _, e := range v.VRRP.Also {
			l.holder[e.Prefix.Addr()] = v.VRRP.Name
		}
	}
	return l.holder
}

// held are all addresses that some block holds, for a message.
func (l *loader) held() []string {
	var all []string
	for _, v := range l.vrrp {
		for _, p := range v.VRRP.Addresses {
			all = append(all, p.Addr().String())
		}
		for _, e := range v.VRRP.Also {
			all = append(all, e.Prefix.Addr().String())
		}
	}
	return all
}
