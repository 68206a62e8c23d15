package config

import (
	"net/netip"
	"strings"
)

// Extra is an address that moves along with a virtual router without being named
// in its adverts.
type Extra struct {
	Prefix netip.Prefix // host bits kept
	// Interface that holds it; empty is the router's.
	Interface string
	Label     string     // IPv4: a name of at most 15 characters; empty is none
	Scope     string     // "global", "site", "link" or "host"; empty is the kernel's choice
	Broadcast netip.Addr // IPv4; the zero value is the kernel's choice
}

const alsoLegal = `an address as the ip command takes it: "192.0.2.101/24 dev eth1", with dev, label, scope and broadcast`

func scopes() []string { return []string{"global", "site", "link", "host"} }

// parseExtra reads an address with its options.
func parseExtra(text string) (Extra, problem) {
	w := &words{left: strings.Fields(text), legal: alsoLegal}
	if len(w.left) == 0 {
		return Extra{}, problem{message: "no address", legal: alsoLegal}
	}
	var e Extra
	var what problem
	if e.Prefix, what = parseVIP(w.left[0]); what.message != "" {
		return e, what
	}
	w.left = w.left[1:]
	for len(w.left) > 0 {
		option, value, what := w.next("dev", "label", "scope", "broadcast")
		if what.message == "" {
			what = e.set(w, option, value)
		}
		if what.message != "" {
			return e, what
		}
	}
	switch {
	case e.Prefix.Addr().Is6() && (e.Label != "" || e.Broadcast.IsValid()):
		return e, problem{message: "IPv6 knows no label and no broadcast", legal: alsoLegal}
	case e.Label != "" && e.Interface != "" && e.Label != e.Interface && !strings.HasPrefix(e.Label, e.Interface+":"):
		return e, problem{message: "label " + e.Label + " does not begin with the interface", legal: alsoLegal, suggestion: e.Interface + ":" + e.Label}
	}
	return e, problem{}
}

func (e *Extra) set(w *words, option, value string) problem {
	switch option {
	case "dev":
		return w.ifname(option, value, &e.Interface)
	case "broadcast":
		addr, err := netip.ParseAddr(value)
		if err != nil || !addr.Is4() {
			return w.bad(option, value, "not an IPv4 address")
		}
		e.Broadcast = addr
	case "label":
		if len(value) > 15 {
			return w.bad(option, value, "longer than 15 characters")
		}
		e.Label = value
	case "scope":
		for _, s := range scopes() {
			if s == value {
				e.Scope = value
				return problem{}
			}
		}
		return problem{message: "unknown scope " + value, legal: list(scopes()), suggestion: nearest(value, scopes())}
	}
	return problem{}
}

// decodeMoving reads what moves with the router besides its addresses.
func (l *loader) decodeMoving(t *table, b *vrrpBlock) {
	for _, f := range optional(t, "also", alsoLegal) {
		e, what := parseExtra(f.value)
		if what.message != "" {
			t.found.add(f.place, what)
			l.vipsUnknown = true
			continue
		}
		b.extra = append(b.extra, extraField{f, e})
	}
	for _, f := range optional(t, "routes", routeLegal) {
		r, what := parseRoute(f.value)
		if what.message != "" {
			t.found.add(f.place, what)
			continue
		}
		b.routes = append(b.routes, routeField{f, r})
	}
	for _, f := range optional(t, "rules", ruleLegal) {
		r, what := parseRule(f.value)
		if what.message != "" {
			t.found.add(f.place, what)
			continue
		}
		b.rules = append(b.rules, ruleField{f, r})
	}
}

// optional reads a list of texts that are no templates.
func optional(t *table, key, legal string) []field[string] {
	fields, _ := t.strings(key, legal)
	var good []field[string]
	for _, f := range fields {
		t.refuseTemplate(&f)
		if f.good {
			good = append(good, f)
		}
	}
	return good
}

// The elements of also, routes and rules.
type (
	extraField struct {
		field[string]
		Extra
	}
	routeField struct {
		field[string]
		Route
	}
	ruleField struct {
		field[string]
		Rule
	}
)
