package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Route is a route that moves with a virtual router; netif.VirtualRoute says what
// its fields mean.
type Route struct {
	Kind        string
	Destination netip.Prefix
	Gateway     netip.Addr
	Interface   string
	Source      netip.Addr
	Table       int
	Metric      int
	OnLink      bool
}

// Rule is a routing rule that moves with a virtual router; netif.VirtualRule says
// what its fields mean.
type Rule struct {
	From, To  netip.Prefix
	IPv6      bool
	Interface string
	Mark      uint32
	Table     int
	Priority  int
}

const (
	routeLegal = `a route as the ip command takes it: "default via 192.0.2.1 dev eth0 src 192.0.2.100", ` +
		`with via, dev, src, metric, table and onlink, or blackhole, unreachable, prohibit before the destination`
	ruleLegal = `a rule as the ip command takes it: "from 192.0.2.100 lookup 100 priority 1000", ` +
		`with from, to, iif, fwmark, lookup and priority`
	mainTable = 254
)

// routeKinds are those that a text may begin with.
func routeKinds() []string { return []string{"unicast", "blackhole", "unreachable", "prohibit"} }

// words reads a text of words as the ip command takes it: each option once,
// followed by its value.
type words struct {
	left  []string
	legal string
	seen  []string
}

// next takes an option and its value. What is not among the names is a problem.
func (w *words) next(names ...string) (option, value string, what problem) {
	option, w.left = w.left[0], w.left[1:]
	if !slices.Contains(names, option) {
		what = problem{message: fmt.Sprintf("unknown word %q", option), legal: w.legal}
		if near := nearest(option, names); near != "" {
			what.suggestion = near
		}
		return "", "", what
	}
	if slices.Contains(w.seen, option) {
		return "", "", problem{message: option + " stands there twice", legal: w.legal}
	}
	w.seen = append(w.seen, option)
	if option == "onlink" {
		return option, "", problem{}
	}
	if len(w.left) == 0 {
		return "", "", problem{message: option + " without a value", legal: w.legal}
	}
	value, w.left = w.left[0], w.left[1:]
	return option, value, problem{}
}

// bad says what is wrong with the value of an option.
func (w *words) bad(option, value, why string) problem {
	return problem{message: fmt.Sprintf("%s %s: %s", option, value, why), legal: w.legal}
}

// parseRoute reads a route.
func parseRoute(text string) (Route, problem) {
	w := &words{left: strings.Fields(text), legal: routeLegal}
	r := Route{Kind: "unicast", Table: mainTable}
	if len(w.left) > 0 && slices.Contains(routeKinds(), w.left[0]) {
		r.Kind, w.left = w.left[0], w.left[1:]
	}
	if len(w.left) == 0 {
		return r, problem{message: "no destination", legal: routeLegal}
	}
	destination := w.left[0]
	w.left = w.left[1:]
	for len(w.left) > 0 {
		option, value, what := w.next("via", "dev", "src", "metric", "table", "onlink")
		if what.message == "" {
			what = r.set(w, option, value)
		}
		if what.message != "" {
			return r, what
		}
	}
	return r.complete(w, destination)
}

func (r *Route) set(w *words, option, value string) problem {
	switch option {
	case "via":
		return w.address(option, value, &r.Gateway)
	case "src":
		return w.address(option, value, &r.Source)
	case "dev":
		return w.ifname(option, value, &r.Interface)
	case "metric":
		return w.number(option, value, 0, 1<<31-1, &r.Metric)
	case "table":
		return w.table(option, value, &r.Table)
	case "onlink":
		r.OnLink = true
	}
	return problem{}
}

// complete reads the destination, whose family the options may have to tell, and
// checks that all fits together.
func (r Route) complete(w *words, destination string) (Route, problem) {
	if destination == "default" {
		addr := netip.IPv4Unspecified()
		if r.Gateway.Is6() || r.Source.Is6() {
			addr = netip.IPv6Unspecified()
		}
		r.Destination = netip.PrefixFrom(addr, 0)
	} else if what := w.prefix("destination", destination, &r.Destination); what.message != "" {
		return r, what
	}
	for option, a := range map[string]netip.Addr{"via": r.Gateway, "src": r.Source} {
		if a.IsValid() && a.Is4() != r.Destination.Addr().Is4() {
			return r, problem{message: option + " " + a.String() + " is of another family than the destination", legal: w.legal}
		}
	}
	switch {
	case r.Kind == "unicast" && !r.Gateway.IsValid() && r.Interface == "":
		return r, problem{message: "neither via nor dev: where to?", legal: w.legal}
	case r.Kind != "unicast" && (r.Gateway.IsValid() || r.Interface != "" || r.OnLink):
		return r, problem{message: r.Kind + " leads nowhere: no via, dev or onlink", legal: w.legal}
	case r.OnLink && (!r.Gateway.IsValid() || r.Interface == ""):
		return r, problem{message: "onlink needs via and dev", legal: w.legal}
	}
	return r, problem{}
}

// parseRule reads a routing rule.
func parseRule(text string) (Rule, problem) {
	w := &words{left: strings.Fields(text), legal: ruleLegal}
	var r Rule
	for len(w.left) > 0 {
		option, value, what := w.next("from", "to", "iif", "fwmark", "lookup", "table", "priority")
		if what.message == "" {
			what = r.set(w, option, value)
		}
		if what.message != "" {
			return r, what
		}
	}
	switch {
	case !r.From.IsValid() && !r.To.IsValid():
		return r, problem{message: "neither from nor to", legal: ruleLegal}
	case r.From.IsValid() && r.To.IsValid() && r.From.Addr().Is4() != r.To.Addr().Is4():
		return r, problem{message: "from and to are of different families", legal: ruleLegal}
	case r.Table == 0:
		return r, problem{message: "no table to look up", legal: ruleLegal}
	case r.Priority == 0:
		return r, problem{message: "no priority", legal: ruleLegal}
	}
	r.IPv6 = r.From.Addr().Is6() || r.To.Addr().Is6()
	return r, problem{}
}

func (r *Rule) set(w *words, option, value string) problem {
	switch option {
	case "from":
		return w.prefix(option, value, &r.From)
	case "to":
		return w.prefix(option, value, &r.To)
	case "iif":
		return w.ifname(option, value, &r.Interface)
	case "lookup", "table":
		return w.table(option, value, &r.Table)
	case "priority":
		return w.number(option, value, 1, 32765, &r.Priority)
	}
	mark, err := strconv.ParseUint(value, 0, 32)
	if err != nil || mark == 0 {
		return w.bad(option, value, "not a mark of 1 to 0xffffffff")
	}
	r.Mark = uint32(mark)
	return problem{}
}

func (w *words) address(option, value string, to *netip.Addr) problem {
	addr, err := netip.ParseAddr(value)
	if err != nil || addr.Zone() != "" || addr.Is4In6() || addr.IsUnspecified() || addr.IsMulticast() {
		return w.bad(option, value, "not the address of a host")
	}
	*to = addr
	return problem{}
}

// prefix reads a network; an address alone is a network of one.
func (w *words) prefix(option, value string, to *netip.Prefix) problem {
	p, err := netip.ParsePrefix(value)
	if addr, addrErr := netip.ParseAddr(value); addrErr == nil && addr.Zone() == "" {
		p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	switch {
	case err != nil || p.Addr().Is4In6():
		return w.bad(option, value, "not a network such as 192.0.2.0/24")
	case p != p.Masked():
		return w.bad(option, value, "host bits are set; the network is "+p.Masked().String())
	}
	*to = p
	return problem{}
}

func (w *words) ifname(option, value string, to *string) problem {
	if what := checkInterface(value); what.message != "" {
		return w.bad(option, value, what.message)
	}
	*to = value
	return problem{}
}

func (w *words) number(option, value string, low, high int, to *int) problem {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return w.bad(option, value, fmt.Sprintf("not a number of %d to %d", low, high))
	}
	*to = n
	return problem{}
}

// table reads the number of a routing table, or "main".
func (w *words) table(option, value string, to *int) problem {
	if value == "main" {
		*to = mainTable
		return problem{}
	}
	if value == "local" || value == "255" {
		return w.bad(option, value, "that table is the kernel's own")
	}
	return w.number(option, value, 1, 1<<31-1, to)
}
