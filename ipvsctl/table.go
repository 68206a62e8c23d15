package ipvsctl

import "slices"

// Table is what IPVS should contain.
type Table []Service

// Canonical returns the table in the one form that Plan compares: sorted by
// key, IPv4-mapped addresses as IPv4, defaults filled in, and fields that have
// no meaning in their context zeroed. It returns t itself where t is canonical
// already; it never changes t.
func (t Table) Canonical() Table {
	if t.isCanonical() {
		return t
	}
	c := make(Table, len(t))
	for i, s := range t {
		c[i] = s.canonical()
	}
	slices.SortStableFunc(c, compareServices)
	return c
}

func (t Table) isCanonical() bool {
	for i := range t {
		if !t[i].isCanonical() || i > 0 && t[i-1].Key.Compare(t[i].Key) > 0 {
			return false
		}
	}
	return true
}

func compareServices(a, b Service) int { return a.Key.Compare(b.Key) }
func compareDests(a, b Dest) int       { return a.Key.Compare(b.Key) }

// head is the part of a service that is compared and written without its
// destinations.
type head struct {
	key         ServiceKey
	scheduler   string
	flags       SchedFlags
	persistence int64
	prefix      uint8
	engine      string
	onePacket   bool
}

func (s *Service) head() head {
	return head{s.Key, s.Scheduler, s.Flags, int64(s.Persistence), s.PersistencePrefix, s.Engine, s.OnePacket}
}

// canonicalHead returns the service without its destinations, normalized.
func (s Service) canonicalHead() Service {
	s.Dests = nil
	s.Key.Address = s.Key.Address.Unmap()
	if s.Scheduler == "" {
		s.Scheduler = DefaultScheduler
	}
	switch {
	case s.Persistence == 0:
		s.PersistencePrefix = 0
	case s.PersistencePrefix == 0:
		s.PersistencePrefix = hostPrefix(s.Key.AddressFamily())
	}
	return s
}

func hostPrefix(f Family) uint8 {
	if f == IPv6 {
		return 128
	}
	return 32
}

func (s Service) canonical() Service {
	c := s.canonicalHead()
	c.Dests = make([]Dest, len(s.Dests))
	for i, d := range s.Dests {
		c.Dests[i] = d.canonical(c.Key)
	}
	slices.SortStableFunc(c.Dests, compareDests)
	return c
}

func (s *Service) isCanonical() bool {
	c := s.canonicalHead()
	if c.head() != s.head() {
		return false
	}
	for i := range s.Dests {
		if s.Dests[i].canonical(s.Key) != s.Dests[i] ||
			i > 0 && s.Dests[i-1].Key.Compare(s.Dests[i].Key) > 0 {
			return false
		}
	}
	return true
}

// canonical gives a destination without a port that of its service; services
// by mark or of every port have none, so the packet's stays.
func (d Dest) canonical(service ServiceKey) Dest {
	d.Key.Address = d.Key.Address.Unmap()
	if d.Key.Port == 0 {
		d.Key.Port = service.Port
	}
	return d
}
