package ipvsctl

import "slices"

// Changed returns the keys of the services that differ between two tables, sorted.
// Both have to be canonical.
func Changed(a, b Table) []ServiceKey {
	var keys []ServiceKey
	for len(a) > 0 || len(b) > 0 {
		side := 0
		switch {
		case len(a) == 0:
			side = 1
		case len(b) == 0:
			side = -1
		default:
			side = a[0].Key.Compare(b[0].Key)
		}
		switch {
		case side < 0:
			keys = append(keys, a[0].Key)
		case side > 0:
			keys = append(keys, b[0].Key)
		case a[0].head() != b[0].head() || !sameDests(a[0].Dests, b[0].Dests):
			keys = append(keys, a[0].Key)
		}
		if side <= 0 {
			a = skipService(a)
		}
		if side >= 0 {
			b = skipService(b)
		}
	}
	return slices.Compact(keys)
}

// Of returns the services with the given keys, which are sorted.
func (t Table) Of(keys []ServiceKey) Table {
	var out Table
	for _, s := range t {
		if _, found := slices.BinarySearchFunc(keys, s.Key, ServiceKey.Compare); found {
			out = append(out, s)
		}
	}
	return out
}

// sameDests is quick where two tables share what is the same.
func sameDests(a, b []Dest) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) || slices.Equal(a, b)
}
