package ipvsctl

// Plan returns the operations that turn actual into desired, in the order in
// which they must be done. It is pure.
//
// A desired service that exists is adopted and updated in place, never deleted
// and added again. Of the services that are not desired only those are deleted
// whose key owned reports; the others are not touched (nil owns none). A
// service comes before its destinations, every addition and update before any
// deletion, and the deletion of a service includes its destinations.
//
// Plan expects a table that passes Validate; of entries with the same key it
// takes the first.
func Plan(desired Table, actual LiveTable, owned func(ServiceKey) bool) []Op {
	desired, actual = desired.Canonical(), sorted(actual)
	p := planner{changes: make([]Op, 0, growth(desired, actual))}
	for len(desired) > 0 || len(actual) > 0 {
		switch side := nextService(desired, actual); {
		case side < 0:
			p.addService(&desired[0])
			desired = skipService(desired)
		case side > 0:
			if owned != nil && owned(actual[0].Key) {
				p.services = append(p.services, Op{Kind: DeleteService, Service: Service{Key: actual[0].Key}})
			}
			actual = actual[1:]
		default:
			p.adoptService(&desired[0], &actual[0])
			desired, actual = skipService(desired), actual[1:]
		}
	}
	return append(append(p.changes, p.dests...), p.services...)
}

// Foreign returns the keys of the services that are neither desired nor owned,
// sorted: those that Plan leaves alone.
func Foreign(desired Table, actual LiveTable, owned func(ServiceKey) bool) []ServiceKey {
	var foreign []ServiceKey
	desired, actual = desired.Canonical(), sorted(actual)
	for len(actual) > 0 {
		side := nextService(desired, actual)
		if side > 0 && (owned == nil || !owned(actual[0].Key)) {
			foreign = append(foreign, actual[0].Key)
		}
		if side <= 0 {
			desired = skipService(desired)
		}
		if side >= 0 {
			actual = actual[1:]
		}
	}
	return foreign
}

// growth is by how many objects desired is larger: about how many are added.
func growth(desired Table, actual LiveTable) int {
	n := len(desired) - len(actual)
	for i := range desired {
		n += len(desired[i].Dests)
	}
	for i := range actual {
		n -= len(actual[i].Dests)
	}
	return max(n, 0)
}

// planner collects the operations by the phase in which they are done.
type planner struct {
	changes  []Op // additions and updates
	dests    []Op // deletions of destinations
	services []Op // deletions of services
}

func (p *planner) addService(s *Service) {
	p.changes = append(p.changes, Op{Kind: AddService, Service: withoutDests(s)})
	p.adoptDests(s, nil)
}

func (p *planner) adoptService(s *Service, live *LiveService) {
	actual := live.Service.canonicalHead()
	if live.Irregular != "" || actual.head() != s.head() {
		p.changes = append(p.changes, Op{Kind: UpdateService, Service: withoutDests(s)})
	}
	p.adoptDests(s, live.Dests)
}

// adoptDests plans the destinations of one service: additions before updates.
func (p *planner) adoptDests(s *Service, actual []LiveDest) {
	service := Service{Key: s.Key}
	var updates []Op
	for desired := s.Dests; len(desired) > 0 || len(actual) > 0; {
		switch side := nextDest(desired, actual); {
		case side < 0:
			p.changes = append(p.changes, Op{Kind: AddDest, Service: service, Dest: desired[0]})
			desired = skipDest(desired)
		case side > 0:
			p.dests = append(p.dests, Op{Kind: DeleteDest, Service: service, Dest: actual[0].Dest})
			actual = actual[1:]
		default:
			if desired[0] != actual[0].Dest {
				updates = append(updates, Op{Kind: UpdateDest, Service: service, Dest: desired[0]})
			}
			desired, actual = skipDest(desired), actual[1:]
		}
	}
	p.changes = append(p.changes, updates...)
}

func withoutDests(s *Service) Service {
	c := *s
	c.Dests = nil
	return c
}

// nextService tells which list holds the smaller key: desired (-1), actual
// (+1) or both the same (0). One of them is not empty.
func nextService(desired Table, actual LiveTable) int {
	switch {
	case len(actual) == 0:
		return -1
	case len(desired) == 0:
		return 1
	}
	return desired[0].Key.Compare(actual[0].Key)
}

func nextDest(desired []Dest, actual []LiveDest) int {
	switch {
	case len(actual) == 0:
		return -1
	case len(desired) == 0:
		return 1
	}
	return desired[0].Key.Compare(actual[0].Key)
}

// skipService drops the first entry and those with the same key.
func skipService(t Table) Table {
	key := t[0].Key
	for len(t) > 0 && t[0].Key == key {
		t = t[1:]
	}
	return t
}

func skipDest(d []Dest) []Dest {
	key := d[0].Key
	for len(d) > 0 && d[0].Key == key {
		d = d[1:]
	}
	return d
}
