package ipvsctl

import "slices"

// Changed returns the keys of the services that differ between two tables,
// sorted.
func Changed(a, b Table) []ServiceKey {
	a, b = a.Canonical(), b.Canonical()
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
		case a[0].head() != b[0].head() || !slices.Equal(a[0].Dests, b[0].Dests):
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
