package ipvsctl

import "slices"

// Stats are the kernel's counters of one service or destination since it was
// added or zeroed, and its estimates of the current rates per second.
type Stats struct {
	Conns                             uint64
	InPackets, OutPackets             uint64
	InBytes, OutBytes                 uint64
	ConnsPerSec                       uint64
	InPacketsPerSec, OutPacketsPerSec uint64
	InBytesPerSec, OutBytesPerSec     uint64
}

// LiveService is a service as the kernel holds it. Its destinations are in
// Dests; those of the embedded Service stay nil.
type LiveService struct {
	Service
	Stats Stats
	Dests []LiveDest
	// Irregular says what the kernel holds that Service cannot express, e.g.
	// "persistence netmask 0.255.255.255"; empty as a rule. An irregular
	// service differs from every desired one.
	Irregular string
}

// LiveDest is a destination as the kernel holds it.
type LiveDest struct {
	Dest
	ActiveConns     uint32 // established
	InactiveConns   uint32 // in any other state
	PersistentConns uint32 // persistence templates that point here
	Stats           Stats
}

// LiveTable is what the kernel holds in one network namespace, services and
// destinations sorted by key.
type LiveTable []LiveService

// Spec returns the service with its destinations and without what only the
// kernel knows.
func (s LiveService) Spec() Service {
	spec := s.Service
	spec.Dests = make([]Dest, len(s.Dests))
	for i, d := range s.Dests {
		spec.Dests[i] = d.Dest
	}
	return spec
}

// Table returns the Spec of every service.
func (t LiveTable) Table() Table {
	table := make(Table, len(t))
	for i, s := range t {
		table[i] = s.Spec()
	}
	return table
}

// Find returns the service with the given key. The table must be sorted.
func (t LiveTable) Find(key ServiceKey) (LiveService, bool) {
	i, found := slices.BinarySearchFunc(t, key, func(s LiveService, k ServiceKey) int { return s.Key.Compare(k) })
	if !found {
		return LiveService{}, false
	}
	return t[i], true
}

// Sort sorts services and destinations by key, in place.
func (t LiveTable) Sort() {
	slices.SortFunc(t, compareLiveServices)
	for _, s := range t {
		slices.SortFunc(s.Dests, compareLiveDests)
	}
}

// sorted returns t itself where it is sorted, otherwise a sorted copy.
func sorted(t LiveTable) LiveTable {
	if slices.IsSortedFunc(t, compareLiveServices) &&
		!slices.ContainsFunc(t, func(s LiveService) bool { return !slices.IsSortedFunc(s.Dests, compareLiveDests) }) {
		return t
	}
	t = slices.Clone(t)
	for i := range t {
		t[i].Dests = slices.Clone(t[i].Dests)
	}
	t.Sort()
	return t
}

func compareLiveServices(a, b LiveService) int { return a.Key.Compare(b.Key) }
func compareLiveDests(a, b LiveDest) int       { return a.Key.Compare(b.Key) }
