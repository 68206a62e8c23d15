package netif

import "slices"

// Rule is one packet rule of ours.
type Rule[T any] interface {
	comparable
	Compare(T) int
	String() string
}

// Rules are what the kernel has in an nftables table of ours, which holds rules of
// one sort and nothing else.
type Rules[T Rule[T]] struct {
	// Present says that the table is there.
	Present bool
	// Rules are those that are in force, sorted.
	Rules []T
	// Strange counts what else is in the table, and everything in it that is not
	// in force.
	Strange int
}

// Are reports whether these are exactly the wanted ones.
func (r Rules[T]) Are(want []T) bool {
	if len(want) == 0 {
		return !r.Present
	}
	return r.Strange == 0 && slices.Equal(r.Rules, sortedRules(want))
}

func sortedRules[T Rule[T]](list []T) []T {
	return slices.Compact(slices.SortedFunc(slices.Values(list), T.Compare))
}
