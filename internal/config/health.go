package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
)

// Check is one way in which a real server is judged.
type Check struct {
	Type string // one of healthcheck.Types
	// Address is where the check goes instead of the real server's address; the
	// zero value is the real server's.
	Address netip.Addr
	Port    uint16 // 0 is the real server's
	// ThroughVIP has the check go to the virtual address, and by the forwarding path
	// to the one real server.
	ThroughVIP bool
	Every      time.Duration // between two checks of one real server, 100ms..1h
	// EveryDoubt, EveryDown and EverySteady are the same while results are on their
	// way to another judgement, while it is down, and after ten minutes up without a
	// failure; 0 is Every.
	EveryDoubt, EveryDown, EverySteady time.Duration

	Timeout time.Duration // of one check, 10ms..Every
	Rise    int           // consecutive successes that bring it back, 1..100
	Fall    int           // consecutive failures that take it out, 1..100
	// FlapDamping asks for more successes of a server that keeps falling.
	FlapDamping bool
	Options     healthcheck.Options // what the type has of its own, with defaults written out
}

// String describes c on one line.
func (c Check) String() string {
	text := c.Type
	if c.Address.IsValid() {
		text += " of " + c.Address.String()
	}
	if c.Port != 0 {
		text += fmt.Sprintf(" at port %d", c.Port)
	}
	if c.ThroughVIP {
		text += " through the virtual address"
	}
	text += fmt.Sprintf(" every %s (in doubt %s, down %s, steady %s), timeout %s, rise %d, fall %d",
		plain(c.Every), plain(c.EveryDoubt), plain(c.EveryDown), plain(c.EverySteady), plain(c.Timeout), c.Rise, c.Fall)
	if !c.FlapDamping {
		text += ", no flap damping"
	}
	if c.Options != "" {
		text += ", options " + string(c.Options)
	}
	return text
}

// Where returns what the check of a real server of a listener connects to.
func (c Check) Where(r Real, listen netip.AddrPort) netip.AddrPort {
	address := c.Address
	if !address.IsValid() {
		address = r.Address
	}
	return netip.AddrPortFrom(address, cmp.Or(c.Port, r.Port, listen.Port()))
}

// ChecksOf returns the checks of one of the service's real servers: its own, or
// else the service's. None: it is not checked.
func (s Service) ChecksOf(r Real) []Check {
	if len(r.Checks) > 0 {
		return r.Checks
	}
	return s.Checks
}

// decodeChecks reads the checks of a service or of a real server: one table, or
// several. A single one takes from base what it does not say itself, unless it is
// of another type; base is nil where there is none. alone is returned for those
// that take from a single check.
func (l *loader) decodeChecks(t *table, base *table, ofReal bool) (checks []Check, alone *table) {
	tables := t.oneOrMore("check")
	for _, c := range tables {
		if len(tables) == 1 {
			c.base = baseOf(c, base)
			alone = c
		}
		checks = append(checks, l.decodeCheck(c, ofReal))
	}
	return checks, alone
}

// baseOf returns base if own is a check of the same type.
func baseOf(own, base *table) *table {
	if base == nil {
		return nil
	}
	kind, stated := own.values["type"]
	inherited, there := base.values["type"]
	if !there {
		inherited = any(defaultCheckType)
	}
	if stated && kind != inherited {
		return nil
	}
	return base
}

func (l *loader) decodeCheck(c *table, ofReal bool) Check {
	kind := c.choice("type", checkTypes())
	own := kindOfCheck(kind.or(defaultCheckType))
	var port field[int64]
	if !own.portless {
		port = c.number("port", 1, 65535)
	}
	var address netip.Addr
	if ofReal {
		address = c.address("address")
	}
	var via field[string]
	if own.passable() {
		via = c.choice("via", []string{"real", "vip"})
	}
	if via.value == "vip" && address.IsValid() {
		c.found.add(via.place, problem{message: "the check would go to the virtual address, not to " + address.String(), legal: `via = "vip" or address`})
	}
	every := c.duration("every", everySpan())
	doubt, down := c.duration("every_doubt", everySpan()), c.duration("every_down", everySpan())
	steady := c.duration("every_steady", everySpan())
	damping := c.truth("flap_damping")
	timeout := c.duration("timeout", timeoutSpan())
	rise := c.number("rise", 1, 100)
	fall := c.number("fall", 1, 100)
	var options healthcheck.Options
	if kind.sound() {
		options = own.readOptions(c)
		c.finish()
	}
	span := every.or(defaultEvery)
	limit := timeout.or(min(defaultTimeout, span))
	check := Check{
		Type:    kind.or(defaultCheckType),
		Address: address,
		Port:    uint16(port.or(0)),
		Every:   span,
		Timeout: limit,
		Rise:    int(rise.or(defaultRise)),
		Fall:    int(fall.or(defaultFall)),
		Options: options,

		ThroughVIP: via.or("real") == "vip",
		// No check begins before the one before it has ended.
		EveryDoubt:  doubt.or(min(span, max(limit, span/4, everySpan().low))),
		EveryDown:   down.or(min(2*span, everySpan().high)),
		EverySteady: steady.or(span),
		FlapDamping: damping.or(true),
	}
	if timeout.good && every.sound() && check.Timeout > check.Every {
		c.found.add(timeout.place, problem{
			message: fmt.Sprintf("longer than every = %q: the next check would begin before this one has ended", plain(check.Every)),
			legal:   fmt.Sprintf("up to %q", plain(check.Every)),
		})
	}
	return check
}

// address reads an IP address without port or prefix length.
func (t *table) address(key string) netip.Addr {
	const legal = "an IP address without port"
	f := t.str(key, legal)
	if !f.good {
		return netip.Addr{}
	}
	address, err := netip.ParseAddr(f.value)
	if err != nil || address.IsUnspecified() || address.IsMulticast() || address.Zone() != "" {
		t.found.add(f.place, problem{message: "not an address that can be checked", legal: legal})
		return netip.Addr{}
	}
	return address.Unmap()
}

// canonicalChecks returns the checks as the schema has them: one table, or a list
// in an order of its own, since theirs has no meaning.
func canonicalChecks(checks []Check) any {
	if len(checks) == 0 {
		return nil
	}
	var tables []map[string]any
	for _, c := range sortedChecks(checks) {
		keys := c.canonical()
		keys["every_doubt"] = plain(c.EveryDoubt)
		keys["every_down"] = plain(c.EveryDown)
		keys["every_steady"] = plain(c.EverySteady)
		keys["flap_damping"] = c.FlapDamping
		tables = append(tables, keys)
	}
	if len(tables) == 1 {
		return tables[0]
	}
	return tables
}

func (c Check) canonical() map[string]any {
	keys := canonicalOptions(c.Options)
	keys["type"] = c.Type
	keys["every"] = plain(c.Every)
	keys["timeout"] = plain(c.Timeout)
	keys["rise"] = c.Rise
	keys["fall"] = c.Fall
	if c.Port != 0 {
		keys["port"] = int(c.Port)
	}
	if c.ThroughVIP {
		keys["via"] = "vip"
	}
	if c.Address.IsValid() {
		keys["address"] = c.Address.String()
	}
	return keys
}

func sortedChecks(checks []Check) []Check {
	return slices.SortedFunc(slices.Values(checks), func(a, b Check) int { return strings.Compare(a.String(), b.String()) })
}

// defaultMarkBase begins the marks where hardly anybody else's are.
const defaultMarkBase = 0x48410000

// MarkCount is how many marks from Config.MarkBase on are for checks.
const MarkCount = 1 << 16

// decodeMarks reads [checks].
func (l *loader) decodeMarks(t *table) {
	l.markBase = t.number("mark_base", 1, 1<<32-MarkCount)
}

// checkMark keeps the marks of services and of checks apart.
func (l *loader) checkMark(b *serviceBlock) {
	if !b.mark.good {
		return
	}
	base := l.markBase.or(defaultMarkBase)
	if own := b.mark.value; own >= base && own < base+MarkCount {
		l.found.add(b.mark.place, problem{
			message: fmt.Sprintf("the marks from %#x to %#x are for checks through a virtual address", base, base+MarkCount-1),
			legal:   "another mark, or another mark_base in [checks]",
		})
	}
	through := func(c Check) bool { return c.ThroughVIP }
	of := func(r Real) bool { return slices.ContainsFunc(b.Service.ChecksOf(r), through) }
	if slices.ContainsFunc(b.Service.Real, of) {
		l.found.add(b.mark.place, problem{message: `its real servers have a check with via = "vip", which is for services without fwmark alone`, legal: `listen without fwmark, or via = "real"`})
	}
}
