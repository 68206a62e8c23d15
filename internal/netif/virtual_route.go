package netif

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// RouteProtocol is the protocol (rtm_protocol, FRA_PROTOCOL) on every route and
// rule that we add, as Protocol is on addresses.
const RouteProtocol = Protocol

// MainTable is the number of the routing table "main".
const MainTable = 254

// RouteKind says what a route does with a packet.
type RouteKind string

// The kinds. The empty one is Unicast.
const (
	Unicast     RouteKind = "unicast"
	Blackhole   RouteKind = "blackhole"
	Unreachable RouteKind = "unreachable"
	Prohibit    RouteKind = "prohibit"
)

// VirtualRoute is a route that moves with a virtual router. It is comparable.
type VirtualRoute struct {
	Kind        RouteKind
	Destination netip.Prefix // 0.0.0.0/0 or ::/0 is the default route
	Gateway     netip.Addr   // the zero value if the destination is on the link
	Interface   string       // empty: the kernel finds it by the gateway
	Source      netip.Addr   // preferred; the zero value if none is set
	Table       int          // 1..; MainTable is "main"
	Metric      int          // the lower one wins; of IPv6, 0 is the kernel's 1024
	OnLink      bool         // the gateway is on the link whatever the addresses say
}

// String describes r as the ip command does.
func (r VirtualRoute) String() string {
	var b strings.Builder
	if r.Kind != Unicast && r.Kind != "" {
		fmt.Fprintf(&b, "%s ", r.Kind)
	}
	if r.Destination.Bits() == 0 {
		b.WriteString("default")
	} else {
		b.WriteString(r.Destination.String())
	}
	say := func(word string, value any, there bool) {
		if there {
			fmt.Fprintf(&b, " %s %v", word, value)
		}
	}
	say("via", r.Gateway, r.Gateway.IsValid())
	say("dev", r.Interface, r.Interface != "")
	say("src", r.Source, r.Source.IsValid())
	say("metric", r.Metric, r.Metric != 0)
	say("table", r.Table, r.Table != MainTable)
	if r.OnLink {
		b.WriteString(" onlink")
	}
	return b.String()
}

// slot is what two routes of one kernel cannot have in common.
type slot struct {
	destination netip.Prefix
	table       int
	metric      int
}

func (r VirtualRoute) slot() slot { return slot{r.Destination, r.Table, r.Metric} }

// normal writes what the kernel fills in.
func (r VirtualRoute) normal() VirtualRoute {
	r.Kind = cmp.Or(r.Kind, Unicast)
	r.Table = cmp.Or(r.Table, MainTable)
	r.Destination = r.Destination.Masked()
	if r.Destination.Addr().Is6() && r.Metric == 0 {
		r.Metric = 1024
	}
	return r
}

// serves reports whether a route that is there does what was desired. What was
// left to the kernel may be anything.
func (r VirtualRoute) serves(desired VirtualRoute) bool {
	if desired.Interface == "" {
		r.Interface = ""
	}
	return r == desired
}

// heldRoute is a route that the kernel has.
type heldRoute struct {
	VirtualRoute
	ours bool
}

// VirtualRule is a routing rule that moves with a virtual router. It is
// comparable.
type VirtualRule struct {
	From, To  netip.Prefix // the zero value is any
	IPv6      bool         // the family, also where From and To are any
	Interface string       // that packets came in by; empty is any
	Mark      uint32       // firewall mark; 0 is any
	Table     int          // to look up
	Priority  int          // 1..32765, the lower one first
}

// String describes r as the ip command does.
func (r VirtualRule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "priority %d", r.Priority)
	say := func(word string, value any, there bool) {
		if there {
			fmt.Fprintf(&b, " %s %v", word, value)
		}
	}
	say("from", r.From, r.From.IsValid())
	say("to", r.To, r.To.IsValid())
	say("iif", r.Interface, r.Interface != "")
	say("fwmark", r.Mark, r.Mark != 0)
	fmt.Fprintf(&b, " lookup %d", r.Table)
	return b.String()
}

// heldRule is a rule that the kernel has.
type heldRule struct {
	VirtualRule
	ours bool
}

// RoutingError is what went wrong with one route or rule.
type RoutingError struct {
	What string // the route or the rule
	Op   string // "adding" or "removing"
	Err  error
}

func (e *RoutingError) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.What, e.Err) }

// Unwrap returns the cause.
func (e *RoutingError) Unwrap() error { return e.Err }

// Routing is the routes and rules that are to be there.
type Routing struct {
	Routes []VirtualRoute
	Rules  []VirtualRule
}

// Empty reports whether there is none.
func (r Routing) Empty() bool { return len(r.Routes)+len(r.Rules) == 0 }

// RoutingResult says what a Reconcile did.
type RoutingResult struct {
	Added, Removed []string // routes and rules, as text
	Failed         []*RoutingError
}

// Err returns all failures as one error, nil if there are none.
func (r RoutingResult) Err() error {
	var errs []error
	for _, e := range r.Failed {
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

// errInTheWay refuses to replace what somebody else set up.
var errInTheWay = errors.New("another program's route with the same destination, table and metric is in the way; give this one another metric")

// routingPlan is the difference between desired and actual.
type routingPlan struct {
	addRoutes, replaceRoutes, removeRoutes []VirtualRoute
	addRules, removeRules                  []VirtualRule
	failed                                 []*RoutingError
}

func (p routingPlan) empty() bool {
	return len(p.addRoutes)+len(p.replaceRoutes)+len(p.removeRoutes)+len(p.addRules)+len(p.removeRules) == 0
}

// planRouting compares. Only what carries our protocol is removed or replaced; what
// is there already as desired stays as it is, whoever added it.
func planRouting(desired Routing, routes []heldRoute, rules []heldRule) routingPlan {
	var plan routingPlan
	wanted := make(map[slot]VirtualRoute)
	for _, d := range desired.Routes {
		d = d.normal()
		if _, twice := wanted[d.slot()]; twice {
			continue
		}
		wanted[d.slot()] = d
		i := slices.IndexFunc(routes, func(h heldRoute) bool { return h.slot() == d.slot() })
		switch {
		case i < 0:
			plan.addRoutes = append(plan.addRoutes, d)
		case routes[i].serves(d):
		case routes[i].ours:
			plan.replaceRoutes = append(plan.replaceRoutes, d)
		default:
			plan.failed = append(plan.failed, &RoutingError{"route " + d.String(), "adding", errInTheWay})
		}
	}
	for _, h := range routes {
		if _, kept := wanted[h.slot()]; h.ours && !kept {
			plan.removeRoutes = append(plan.removeRoutes, h.VirtualRoute)
		}
	}
	for _, d := range desired.Rules {
		there := slices.ContainsFunc(rules, func(h heldRule) bool { return h.VirtualRule == d })
		if !there && !slices.Contains(plan.addRules, d) {
			plan.addRules = append(plan.addRules, d)
		}
	}
	for _, h := range rules {
		if h.ours && !slices.Contains(desired.Rules, h.VirtualRule) {
			plan.removeRules = append(plan.removeRules, h.VirtualRule)
		}
	}
	return plan
}

// routingKernel is what ReconcileRouting needs from the kernel.
type routingKernel interface {
	readRouting(ctx context.Context) ([]heldRoute, []heldRule, error)
	// setRoute adds a route, or replaces the one in its slot.
	setRoute(r VirtualRoute, replace bool) error
	removeRoute(r VirtualRoute) error
	addRule(r VirtualRule) error
	removeRule(r VirtualRule) error
}

// ReconcileRouting makes the routes and rules that carry our protocol exactly the
// desired ones, and leaves all others alone. Routes come before the rules that lead
// to them, and go after them. One that fails does not hinder the others.
func ReconcileRouting(ctx context.Context, desired Routing) (RoutingResult, error) {
	return reconcileRouting(ctx, routingHost(), desired)
}

func reconcileRouting(ctx context.Context, kernel routingKernel, desired Routing) (RoutingResult, error) {
	var result RoutingResult
	routes, rules, err := kernel.readRouting(ctx)
	if err != nil {
		return result, fmt.Errorf("reading routes and rules: %w", err)
	}
	plan := planRouting(desired, routes, rules)
	result.Failed = plan.failed
	do := func(what fmt.Stringer, kind, op string, done *[]string, err error) {
		text := kind + " " + what.String()
		if err != nil {
			result.Failed = append(result.Failed, &RoutingError{text, op, explain(err)})
			return
		}
		*done = append(*done, text)
	}
	for _, r := range plan.removeRules {
		do(r, "rule", "removing", &result.Removed, kernel.removeRule(r))
	}
	for _, r := range plan.removeRoutes {
		do(r, "route", "removing", &result.Removed, kernel.removeRoute(r))
	}
	for _, r := range plan.replaceRoutes {
		do(r, "route", "adding", &result.Added, kernel.setRoute(r, true))
	}
	for _, r := range plan.addRoutes {
		do(r, "route", "adding", &result.Added, kernel.setRoute(r, false))
	}
	for _, r := range plan.addRules {
		do(r, "rule", "adding", &result.Added, kernel.addRule(r))
	}
	if plan.empty() {
		return result, nil
	}
	return result, confirmRouting(ctx, kernel, desired, &result)
}

// confirmRouting reads back: what was added has to be there.
func confirmRouting(ctx context.Context, kernel routingKernel, desired Routing, result *RoutingResult) error {
	routes, rules, err := kernel.readRouting(ctx)
	if err != nil {
		return fmt.Errorf("reading routes and rules back: %w", err)
	}
	left := planRouting(desired, routes, rules)
	lost := func(what string, op string) {
		if !slices.ContainsFunc(result.Failed, func(e *RoutingError) bool { return e.What == what }) {
			result.Failed = append(result.Failed, &RoutingError{what, op, errors.New("the kernel did not keep the change")})
		}
	}
	for _, r := range slices.Concat(left.addRoutes, left.replaceRoutes) {
		lost("route "+r.String(), "adding")
	}
	for _, r := range left.addRules {
		lost("rule "+r.String(), "adding")
	}
	for _, r := range left.removeRoutes {
		lost("route "+r.String(), "removing")
	}
	for _, r := range left.removeRules {
		lost("rule "+r.String(), "removing")
	}
	return nil
}
