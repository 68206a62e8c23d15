package netif

import (
	"cmp"
	"errors"
	"slices"
)

var (
	// errNotUnicast refuses what no interface can hold.
	errNotUnicast = errors.New("not a unicast address with a prefix length")
	// errElsewhere refuses what we could not take away again.
	errElsewhere = errors.New("the interface is outside of what is ours here")
)

// addressPlan is the difference between desired and actual.
type addressPlan struct {
	add     []Address
	remove  []heldAddress // secondary addresses first
	foreign []Address
	failed  []*AddressError // desired, and impossible as things are
}

// planAddresses compares. Only addresses with our tag are removed; a desired
// address that is there already is left as it is, whoever added it.
func planAddresses(desired []Address, actual addressTable) addressPlan {
	var plan addressPlan
	present := make(map[Address]heldAddress, len(actual.held))
	for _, h := range actual.held {
		if !h.peer.IsValid() {
			present[h.Address] = h
		}
	}
	wanted := make(map[Address]bool, len(desired))
	for _, want := range sortedSet(desired) {
		wanted[want] = true
		addr := want.Prefix.Addr()
		if !want.Prefix.IsValid() || addr.Is4In6() || addr.IsUnspecified() || addr.IsMulticast() {
			plan.failed = append(plan.failed, &AddressError{want, "adding", errNotUnicast})
			continue
		}
		if _, ok := actual.links[want.Interface]; !ok {
			plan.failed = append(plan.failed, &AddressError{want, "adding", ErrNoInterface})
			continue
		}
		if actual.elsewhere[want.Interface] {
			plan.failed = append(plan.failed, &AddressError{want, "adding", errElsewhere})
			continue
		}
		held, there := present[want]
		switch {
		case !there:
			plan.add = append(plan.add, want)
		case !held.Ours:
			plan.foreign = append(plan.foreign, want)
		case !held.has.suits(actual.attributes[want], actual.links[want.Interface]):
			delete(wanted, want)
			plan.add = append(plan.add, want)
		}
	}
	for _, secondary := range []bool{true, false} {
		for _, held := range actual.held {
			if held.Ours && held.secondary == secondary && !wanted[held.Address] {
				plan.remove = append(plan.remove, held)
			}
		}
	}
	return plan
}

// suits reports whether an address has the attributes that it is to have.
func (a Attributes) suits(want Attributes, link Link) bool {
	return a.NoRoute == want.NoRoute && a.Label == cmp.Or(want.Label, a.defaultLabel(link)) && (want.Scope == "" || a.Scope == want.Scope) &&
		(!want.Broadcast.IsValid() || a.Broadcast == want.Broadcast)
}

// defaultLabel is the label of an address that was given none.
func (a Attributes) defaultLabel(link Link) string {
	if a.Label == "" {
		return "" // IPv6 has none
	}
	return link.Name
}

// forget drops what failed before in the same reconciliation.
func (p *addressPlan) forget(failed map[Address]*AddressError) {
	known := func(a Address) bool { return failed[a] != nil }
	p.add = slices.DeleteFunc(p.add, known)
	p.remove = slices.DeleteFunc(p.remove, func(h heldAddress) bool { return known(h.Address) })
	p.failed = slices.DeleteFunc(p.failed, func(e *AddressError) bool { return known(e.Address) })
}

func (p *addressPlan) empty() bool { return len(p.add)+len(p.remove)+len(p.failed) == 0 }

// keptBy returns the addresses that are to stay and that the kernel would
// remove along with the primary address held: its secondaries.
func (p *addressPlan) keptBy(held heldAddress, actual addressTable) []heldAddress {
	if held.secondary || !held.Prefix.Addr().Is4() {
		return nil
	}
	var kept []heldAddress
	for _, other := range actual.held {
		if other.secondary && other.index == held.index && other.Prefix.Masked() == held.Prefix.Masked() &&
			!slices.Contains(p.remove, other) {
			kept = append(kept, other)
		}
	}
	return kept
}
