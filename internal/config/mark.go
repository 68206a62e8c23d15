package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Range is a part of what a service listens on: addresses and ports, both ends
// included.
type Range struct {
	From, To         netip.Addr // of one family
	FromPort, ToPort uint16     // 1..65535
}

// String writes the range as the key listen has it.
func (r Range) String() string {
	text := r.From.String()
	if r.To != r.From {
		text += "-" + r.To.String()
	}
	if r.From.Is6() {
		text = "[" + text + "]"
	}
	text += ":" + strconv.Itoa(int(r.FromPort))
	if r.ToPort != r.FromPort {
		text += "-" + strconv.Itoa(int(r.ToPort))
	}
	return text
}

// Addresses returns every virtual address of s, each once, in order.
func (s Service) Addresses() []netip.Addr {
	var all []netip.Addr
	for _, listen := range s.Listen {
		all = append(all, listen.Addr())
	}
	for _, r := range s.Marked {
		for a := r.From; ; a = a.Next() {
			all = append(all, a)
			if a == r.To || !a.IsValid() {
				break
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// MarkedAt returns what gets the mark of s at one of its listeners, which is the
// ranges of that family.
func (s Service) MarkedAt(listen netip.AddrPort) []Range {
	return only(s.Marked, func(r Range) bool { return r.From.Is4() == listen.Addr().Is4() })
}

// Endpoints returns addresses with ports that s listens on: all of them, or of a
// service by mark one of each range.
func (s Service) Endpoints() []netip.AddrPort {
	if s.FWMark == 0 {
		return s.Listen
	}
	ends := make([]netip.AddrPort, len(s.Marked))
	for i, r := range s.Marked {
		ends[i] = netip.AddrPortFrom(r.From, r.FromPort)
	}
	return ends
}

const (
	rangeLegal = `addresses and ports, as in "192.0.2.100:80", "192.0.2.100-192.0.2.109:80", "192.0.2.100:8000-8099"`
	// maxListen is to how many listeners one element of listen may expand.
	maxListen = 64
	// maxRange bounds the addresses of one element: no more can be held.
	maxRange = 4096
)

// parseRange reads an element of listen, which may be a range.
func parseRange(text string) (Range, problem) {
	hosts, ports, ok := cutPort(text)
	fromHost, toHost, manyHosts := strings.Cut(hosts, "-")
	fromPort, toPort, manyPorts := strings.Cut(ports, "-")
	if !ok || !manyHosts && !manyPorts {
		at, what := parseListen(text)
		return Range{at.Addr(), at.Addr(), at.Port(), at.Port()}, what
	}
	if !manyHosts {
		toHost = fromHost
	}
	if !manyPorts {
		toPort = fromPort
	}
	from, what := parseListen(join(fromHost, fromPort))
	if what.message == "" {
		var to netip.AddrPort
		to, what = parseListen(join(toHost, toPort))
		r := Range{from.Addr(), to.Addr(), from.Port(), to.Port()}
		switch {
		case what.message != "":
		case r.From.BitLen() != r.To.BitLen() || r.To.Less(r.From) || r.ToPort < r.FromPort:
			return r, problem{message: "the range ends before it begins", legal: rangeLegal}
		case !r.bounded():
			return r, problem{message: fmt.Sprintf("a range of more than %d addresses", maxRange), legal: rangeLegal}
		default:
			return r, problem{}
		}
	}
	what.legal, what.suggestion = rangeLegal, ""
	return Range{}, what
}

// cutPort cuts at the colon before the ports.
func cutPort(text string) (hosts, ports string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 || strings.HasSuffix(text, "]") {
		return text, "", false
	}
	return strings.TrimSuffix(strings.TrimPrefix(text[:i], "["), "]"), text[i+1:], true
}

func join(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

func (r Range) bounded() bool {
	a := r.From
	for range maxRange {
		if a == r.To {
			return true
		}
		a = a.Next()
	}
	return false
}

// listeners returns every address and port of r, or nil if there are more than
// most.
func (r Range) listeners(most int) []netip.AddrPort {
	var all []netip.AddrPort
	for a := r.From; ; a = a.Next() {
		for port := int(r.FromPort); port <= int(r.ToPort); port++ {
			if len(all) == most {
				return nil
			}
			all = append(all, netip.AddrPortFrom(a, uint16(port)))
		}
		if a == r.To {
			return all
		}
	}
}

// decodeListeners reads what a service listens on. Without a mark each address and
// port becomes a listener; with one the ranges stay, and the listeners stand for
// their addresses.
func (l *loader) decodeListeners(t *table, b *serviceBlock) {
	b.mark = t.number("fwmark", 1, 1<<32-1)
	listen, _ := t.strings("listen", listenLegal)
	for _, f := range listen {
		if !f.good {
			continue
		}
		r, ok := resolve(l, f, parseRange)
		if !ok {
			continue
		}
		if !b.mark.set {
			all := r.listeners(maxListen)
			if all == nil {
				l.found.add(f.place, problem{message: fmt.Sprintf("more than %d addresses and ports", maxListen), legal: "a firewall mark for them: fwmark = 1"})
			}
			for _, at := range all {
				b.listen = append(b.listen, listenField{f, at, at.Port()})
			}
			continue
		}
		b.marked = append(b.marked, r)
		for a := r.From; ; a = a.Next() {
			b.listen = append(b.listen, listenField{f, netip.AddrPortFrom(a, r.FromPort), r.ToPort})
			if a == r.To {
				break
			}
		}
	}
}

// finishMark makes of a service by mark what it is for the kernel: one listener of
// each family, without a port. Its checks need a port of their own then, unless there is but one.
func (l *loader) finishMark(b *serviceBlock) {
	s := &b.Service
	if !b.mark.good || len(b.listen) == 0 {
		return
	}
	if s.Redirect {
		l.found.add(b.receive.place, problem{message: "a redirect needs the ports of a service, which one by fwmark does not have", legal: receiveAddress})
		return
	}
	s.FWMark, s.Marked = uint32(b.mark.value), b.marked
	slices.SortFunc(s.Marked, func(x, y Range) int { return strings.Compare(x.String(), y.String()) })
	s.Listen = nil
	for _, six := range []bool{false, true} {
		of := func(f listenField) bool { return f.at.Addr().Is6() == six }
		if i := slices.IndexFunc(b.listen, of); i >= 0 {
			s.Listen = append(s.Listen, netip.AddrPortFrom(b.listen[i].at.Addr(), 0))
		}
	}
	port := b.marked[0].FromPort
	for _, r := range b.marked {
		if r.FromPort != port || r.ToPort != port {
			port = 0
		}
	}
	give := func(checks []Check, mapped bool) {
		for i := range checks {
			switch c := &checks[i]; {
			case c.Port != 0 || mapped || kindOfCheck(c.Type).portless:
			case port != 0:
				c.Port = port
			default:
				l.found.add(b.head, problem{message: fmt.Sprintf("a check of type %s does not know which of the ports to ask", c.Type), legal: "port in [service.check]"})
				return
			}
		}
	}
	mapped := !slices.ContainsFunc(s.Real, func(r Real) bool { return r.Port == 0 && len(r.Checks) == 0 })
	give(s.Checks, mapped)
	for i := range s.Real {
		give(s.Real[i].Checks, s.Real[i].Port != 0)
	}
}

// checkMarks finds marks that two services have.
func (l *loader) checkMarks() {
	seen := map[int64]place{}
	for _, b := range l.services {
		if !b.mark.good {
			continue
		}
		if first, ok := seen[b.mark.value]; ok {
			l.found.add(b.mark.place, problem{message: fmt.Sprintf("another [[service]] block has this mark, at %s", first.seenFrom(b.mark.place)), legal: "a mark for each service"})
			continue
		}
		seen[b.mark.value] = b.mark.place
	}
}
