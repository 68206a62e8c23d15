package traffic

import "time"

// Outcome is what became of a request.
type Outcome uint8

// Outcomes. A request that is still Pending at its timeout is booked as Lost.
const (
	Pending Outcome = iota
	Answered
	Refused
	Reset
	Unsent
)

// Ledger accounts for the requests of one stream. It is told of events in the
// order in which they are seen, with times as offsets from its beginning, and
// does not lock. Requests are numbered from 0.
type Ledger struct {
	stream  string
	begin   time.Time
	timeout time.Duration

	open    []record // requests first.. whose outcome is not booked yet
	first   uint64
	servers []string
	names   map[string]uint8

	phases []*phase
	marks  []mark
	fold   fold
	ticks  ticks
}

// record is one request.
type record struct {
	sent, late, done time.Duration
	outcome          Outcome
	server           uint8 // index of servers
	ttl              uint8
}

// mark is the request with which a phase begins.
type mark struct {
	seq  uint64
	name string
}

// NewLedger returns an empty ledger in the phase "start". Offsets count from
// begin; requests without an answer after timeout are lost.
func NewLedger(stream string, begin time.Time, timeout time.Duration) *Ledger {
	l := &Ledger{stream: stream, begin: begin, timeout: timeout, names: make(map[string]uint8)}
	l.phases = []*phase{newPhase("start")}
	l.ticks.ledger = l
	return l
}

// Sent opens the next request and returns its number.
func (l *Ledger) Sent(at, late time.Duration) uint64 {
	l.open = append(l.open, record{sent: at, late: late})
	l.ticks.sent(at, late)
	return l.first + uint64(len(l.open)) - 1
}

// Answer takes note of an answer to request seq, from a server, which arrived at
// the given time. ttl is 0 where it is not seen.
func (l *Ledger) Answer(seq uint64, at time.Duration, server string, ttl uint8) {
	r := l.record(seq)
	switch {
	case r == nil && seq >= l.first:
		// An answer to what was never asked is none of ours.
	case r == nil || at-r.sent > l.timeout:
		l.current().TooLate++
	case r.outcome != Pending:
		l.current().Duplicates++
	default:
		r.outcome, r.done, r.server, r.ttl = Answered, at, l.server(server), ttl
		l.ticks.answered(r.sent, r.server)
	}
}

// Fail takes note that request seq has failed.
func (l *Ledger) Fail(seq uint64, at time.Duration, outcome Outcome) {
	if r := l.record(seq); r != nil && r.outcome == Pending {
		r.outcome, r.done = outcome, at
		l.ticks.failed(r.sent)
	}
}

// Skip takes note that n requests were not even tried.
func (l *Ledger) Skip(n uint64) { l.current().Skipped += n }

// Mark begins a new phase with the next request.
func (l *Ledger) Mark(name string) {
	l.marks = append(l.marks, mark{l.first + uint64(len(l.open)), name})
}

// Settle books the requests whose timeout is over at now. Younger ones wait,
// though answered, so that a second answer is known for one.
func (l *Ledger) Settle(now time.Duration) {
	n := 0
	for n < len(l.open) && now-l.open[n].sent > l.timeout {
		n++
	}
	l.settle(n)
}

func (l *Ledger) settle(n int) {
	for i := range n {
		l.book(l.first+uint64(i), &l.open[i])
	}
	l.first += uint64(n)
	l.open = l.open[:copy(l.open, l.open[n:])]
}

// Waiting reports whether a request is still without an outcome.
func (l *Ledger) Waiting() bool {
	for i := range l.open {
		if l.open[i].outcome == Pending {
			return true
		}
	}
	return false
}

// record returns an open request, or nil.
func (l *Ledger) record(seq uint64) *record {
	if seq < l.first || seq-l.first >= uint64(len(l.open)) {
		return nil
	}
	return &l.open[seq-l.first]
}

// maxServers bounds the names that a stranger on the wire could make up.
const maxServers = 250

func (l *Ledger) server(name string) uint8 {
	i, ok := l.names[name]
	if !ok {
		if len(l.servers) == maxServers {
			name = "(others)"
			if i, ok = l.names[name]; ok {
				return i
			}
		}
		i = uint8(len(l.servers))
		l.servers = append(l.servers, name)
		l.names[name] = i
	}
	return i
}

// current is the phase of the request that is booked next.
func (l *Ledger) current() *phase { return l.phases[len(l.phases)-1] }
