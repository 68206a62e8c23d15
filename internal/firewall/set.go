package firewall

import "bytes"

// set is a set or map of nftables.
type set struct {
	length    int // of a key
	intervals bool
	elements  []element
}

type element struct {
	key  []byte
	last []byte // of a range in a set of concatenated keys
	// end marks the first key that an interval does not have any more.
	end  bool
	data []byte // of a map
}

// verdict is what a rule or an element of a map says.
type verdict struct {
	kind  kind
	chain string
}

// find looks a key up.
func (s *set) find(key []byte) (element, truth) {
	if s.intervals {
		return s.within(key)
	}
	for _, e := range s.elements {
		if bytes.Equal(e.key, key) {
			return e, yes
		}
	}
	return element{}, no
}

// within looks a key up among intervals: the nearest element at or below the key
// begins or ends one.
func (s *set) within(key []byte) (element, truth) {
	var nearest *element
	for i, e := range s.elements {
		if len(e.last) > 0 {
			return element{}, maybe // ranges of concatenated keys
		}
		if len(e.key) == len(key) && bytes.Compare(e.key, key) <= 0 &&
			(nearest == nil || bytes.Compare(nearest.key, e.key) < 0 || bytes.Equal(nearest.key, e.key) && nearest.end) {
			nearest = &s.elements[i]
		}
	}
	if nearest == nil || nearest.end {
		return element{}, no
	}
	return *nearest, yes
}
