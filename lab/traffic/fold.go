package traffic

import (
	"cmp"
	"slices"
	"time"
)

const (
	// calm is how long requests must go well for a trouble to be over.
	calm = 250 * time.Millisecond
	// keptEpisodes bounds the episodes of one phase.
	keptEpisodes = 1000
)

// phase is the account of one phase as far as it is booked.
type phase struct {
	Report
	from, to  time.Duration
	seen      bool
	answers   map[uint8]*Server // by index of servers
	latency   histogram
	lateness  histogram
	lastReply time.Duration
}

func newPhase(name string) *phase {
	return &phase{Report: Report{Phase: name}, answers: make(map[uint8]*Server)}
}

// fold is what the booking of requests in order carries from one to the next.
type fold struct {
	good    time.Duration // when the last good request was sent
	hasGood bool
	gap     *openGap
	episode *openEpisode
}

type openGap struct {
	from, first, last time.Duration
	failed            uint64
}

type openEpisode struct {
	Episode
	phases      map[*phase]uint64 // failed requests of each
	from, until time.Duration     // until: the last failed request
	calmSince   time.Duration     // the first good request after it; meaningless while bad
	calmed      bool
	tail        uint64 // good requests since then, which are not part of it
}

// book adds one request to the account of its phase.
func (l *Ledger) book(seq uint64, r *record) {
	for len(l.marks) > 0 && seq >= l.marks[0].seq {
		l.phases = append(l.phases, newPhase(l.marks[0].name))
		l.marks = l.marks[1:]
	}
	p := l.current()
	if !p.seen {
		p.seen, p.from = true, r.sent
	}
	p.to = r.sent
	p.Sent++
	p.lateness.add(r.late)
	switch r.outcome {
	case Unsent:
		p.Unsent++
	case Answered:
		p.answered(r, l.servers)
		l.fold.wentWell(r.sent)
	default:
		l.fold.failed(p, r)
		switch r.outcome {
		case Refused:
			p.Refused++
		case Reset:
			p.Reset++
		default:
			p.Lost++
		}
	}
}

func (p *phase) answered(r *record, servers []string) {
	p.Answered++
	s := p.answers[r.server]
	if s == nil {
		s = &Server{Name: servers[r.server]}
		p.answers[r.server] = s
	}
	s.Answered++
	if r.ttl != 0 {
		if s.TTLs == nil {
			s.TTLs = make(map[uint8]uint64)
		}
		s.TTLs[r.ttl]++
	}
	p.latency.add(r.done - r.sent)
	if r.done < p.lastReply {
		p.Reordered++
	}
	p.lastReply = max(p.lastReply, r.done)
}

func (f *fold) wentWell(sent time.Duration) {
	if f.gap != nil {
		f.endGap(sent, false)
	}
	if e := f.episode; e != nil {
		if !e.calmed {
			e.calmed, e.calmSince = true, sent
		}
		e.tail++
		if sent-e.until > calm {
			f.endEpisode(false)
		}
	}
	f.good, f.hasGood = sent, true
}

func (f *fold) failed(p *phase, r *record) {
	if f.gap == nil {
		f.gap = &openGap{from: r.sent, first: r.sent}
		if f.hasGood {
			f.gap.from = f.good
		}
	}
	f.gap.last = r.sent
	f.gap.failed++
	if f.episode != nil && f.episode.calmed && r.sent-f.episode.until > calm {
		f.endEpisode(false)
	}
	if f.episode == nil {
		f.episode = &openEpisode{phases: make(map[*phase]uint64), from: f.gap.from}
	}
	e := f.episode
	e.phases[p]++
	e.until = r.sent
	e.Answered += e.tail
	e.tail, e.calmed = 0, false
	switch r.outcome {
	case Refused:
		e.Refused++
	case Reset:
		e.Reset++
	default:
		e.Lost++
	}
}

// endGap closes the gap with the good request sent at to.
func (f *fold) endGap(to time.Duration, open bool) {
	g := Gap{Duration: to - f.gap.from, AtLeast: f.gap.last - f.gap.first, Failed: f.gap.failed, Open: open}
	f.gap = nil
	if e := f.episode; g.Duration > e.Gap.Duration {
		e.Gap = g
	}
}

func (f *fold) endEpisode(open bool) {
	e := f.episode
	f.episode = nil
	end := e.calmSince
	if !e.calmed {
		end = e.until
	}
	e.Duration, e.Open = end-e.from, open
	p := e.mostly()
	if e.Gap.Duration > p.Gap.Duration {
		p.Gap = e.Gap
	}
	if len(p.Episodes) < keptEpisodes {
		p.Episodes = append(p.Episodes, e.finished())
	}
}

// mostly is the phase to which the episode belongs: a request that was on its way
// when a phase began may fail by what happens in that phase.
func (e *openEpisode) mostly() *phase {
	var most *phase
	for p, failed := range e.phases {
		if most == nil || failed > e.phases[most] {
			most = p
		}
	}
	return most
}

// finished is the episode with its start as an offset, for Reports to resolve.
func (e *openEpisode) finished() Episode {
	out := e.Episode
	out.Start = time.Time{}.Add(e.from)
	return out
}

// Reports books what is open, pending requests as lost, and returns the account
// of every phase. The ledger is at its end with it.
func (l *Ledger) Reports() []Report {
	l.settle(len(l.open))
	f := &l.fold
	if f.gap != nil {
		f.endGap(f.gap.last, true)
	}
	if f.episode != nil {
		f.endEpisode(!f.episode.calmed)
	}
	for _, m := range l.marks {
		l.phases = append(l.phases, newPhase(m.name))
	}
	l.marks = nil
	var reports []Report
	for _, p := range l.phases {
		reports = append(reports, l.report(p))
	}
	return reports
}

func (l *Ledger) report(p *phase) Report {
	r := p.Report
	r.Stream = l.stream
	if p.seen {
		r.From, r.To = l.begin.Add(p.from), l.begin.Add(p.to)
	}
	for _, s := range p.answers {
		r.Servers = append(r.Servers, *s)
	}
	slices.SortFunc(r.Servers, func(a, b Server) int { return cmp.Compare(a.Name, b.Name) })
	for i := range r.Episodes {
		r.Episodes[i].Start = l.begin.Add(r.Episodes[i].Start.Sub(time.Time{}))
	}
	r.Latency, r.Lateness = p.latency.summary(), p.lateness.summary()
	return r
}
