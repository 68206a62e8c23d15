package healthcheck

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

const (
	// refreshEvery is the least time between two verdicts of one target that
	// report no change.
	refreshEvery = time.Second
	// abandonAfter is how long past its timeout a check may take to return
	// before its target is judged without it.
	abandonAfter = 250 * time.Millisecond
)

// board is the state of all targets and their timetable. It is pure: it knows
// the time by what it is told, starts nothing and calls nobody.
type board struct {
	base    time.Time // slots are counted from here
	random  *rand.Rand
	prepare func(Target) (Checker, error)
	entries map[string]*entry
	timers  timers // entries by their next event
	heavy   lane   // of checks with a goroutine each
	light   lane   // of checks that a connector makes
	isLight func(Target) bool
	// digests has verdicts that a check confirmed collected in confirmed, rather than
	// given out.
	digests   bool
	confirmed []*entry
}

// lane bounds the checks of one kind that are under way.
type lane struct {
	limit, running int
	waiting        []*entry // due, but all places were taken; oldest first
}

// take returns the next that may start, nil if there is none.
func (l *lane) take() *entry {
	for len(l.waiting) > 0 && l.running < l.limit {
		e := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		if e.state != gone {
			l.running++
			e.lane = l
			return e
		}
	}
	return nil
}

// entry is one target on the board.
type entry struct {
	target    Target
	check     Checker // nil where refused
	verdict   Verdict
	published time.Time // when the verdict was last given out
	untold    bool      // the verdict says more by now than the time of a check
	confirmed bool      // in the board's confirmed
	run       uint64    // number of the check in flight, or of the last one
	state     entryState
	stuck     bool      // an abandoned check has not returned yet
	next      time.Time // idle: the check is due; running: it is abandoned
	begun     time.Time // of the check in flight, or of the last one
	troubled  time.Time // when a check last did not simply pass
	history   history
	index     int    // in timers; -1 when not there
	light     bool   // a connector can make the check
	lane      *lane  // of the check in flight, or of the last one
	socket    int    // of the check in flight in the light lane
	cancel    func() // ends the check in flight; nil when there is none
}

type entryState uint8

const (
	idle    entryState = iota + 1 // in timers
	queued                        // in waiting
	running                       // in timers
	gone                          // removed; may still be in waiting
	refused                       // invalid: never checked
)

func newBoard(now time.Time, limit int, random *rand.Rand, prepare func(Target) (Checker, error)) *board {
	return &board{
		base: now, random: random, prepare: prepare, entries: map[string]*entry{}, heavy: lane{limit: limit},
		isLight: func(Target) bool { return false },
	}
}

// set makes targets the whole set and returns the verdicts to give out: those
// of targets that cannot be checked.
func (b *board) set(now time.Time, targets []Target, known map[string]Verdict) []Verdict {
	var out []Verdict
	wanted := make(map[string]bool, len(targets))
	for _, t := range targets {
		if wanted[t.ID] {
			continue
		}
		wanted[t.ID] = true
		e := b.entries[t.ID]
		if e != nil && e.target == t {
			continue
		}
		check, err := b.prepare(t)
		switch {
		case e == nil:
			e = b.add(now, t, check, err, known[t.ID], len(targets))
		case e.target.Type != t.Type || e.target.Address != t.Address || e.target.Real != t.Real || e.state == refused || err != nil:
			b.remove(e)
			e = b.add(now, t, check, err, Verdict{}, len(targets))
		default:
			e.check, e.light = check, b.isLight(t)
			b.retime(now, e, t)
		}
		if e.state == refused {
			e.published = now
			out = append(out, e.verdict)
		}
	}
	for id, e := range b.entries {
		if !wanted[id] {
			b.remove(e)
		}
	}
	return out
}

// add puts a new target on the board, one of count. Where there is an error instead of a
// checker, it is refused.
func (b *board) add(now time.Time, t Target, check Checker, err error, known Verdict, count int) *entry {
	e := &entry{target: t, check: check, light: b.isLight(t), index: -1, state: idle, next: firstCheck(now, t, count)}
	e.verdict = Verdict{ID: t.ID, Status: Unknown, Since: now}
	if known.Status == Up || known.Status == Down {
		e.verdict = known
		e.verdict.ID = t.ID
		e.verdict.Known = true
		e.verdict.Rising, e.verdict.Falling = max(0, known.Rising), max(0, known.Falling)
	}
	b.entries[t.ID] = e
	if err != nil {
		e.state = refused
		e.verdict.Reason, e.verdict.Detail = ReasonInvalid, err.Error()
		return e
	}
	heap.Push(&b.timers, e)
	return e
}

// retime gives an entry other timing, thresholds or options; what is believed
// stays.
func (b *board) retime(now time.Time, e *entry, t Target) {
	before := e.interval(now)
	e.target = t
	if every := e.interval(now); e.state == idle && every != before {
		e.next = nextCheck(b.base, now, t.ID, every, b.random)
		heap.Fix(&b.timers, e.index)
	}
}

// remove takes an entry off the board and ends its check.
func (b *board) remove(e *entry) {
	delete(b.entries, e.target.ID)
	if e.index >= 0 {
		heap.Remove(&b.timers, e.index)
	}
	if e.state == running {
		e.lane.running--
	}
	e.state = gone
	e.end()
}

// end cancels the check in flight.
func (e *entry) end() {
	if e.cancel != nil {
		e.cancel()
		e.cancel = nil
	}
}

// advance handles what is due at now: it returns the entries whose checks are
// to be started and the verdicts to give out.
func (b *board) advance(now time.Time) (start []*entry, out []Verdict) {
	for len(b.timers) > 0 && !b.timers[0].next.After(now) {
		e := heap.Pop(&b.timers).(*entry)
		switch {
		case e.state == running:
			e.end()
			e.lane.running--
			late := Result{Outcome: Fail, Reason: ReasonTimeout}
			if e.lane == &b.heavy {
				e.stuck = true
				late.Detail = "the check did not return in time"
			}
			out = b.judge(out, now, e, late, e.target.Timeout)
		case e.stuck:
			e.begun = now
			out = b.judge(out, now, e, Result{Outcome: Fail, Reason: ReasonTimeout, Detail: "the check before has not returned yet"}, 0)
		default:
			e.state = queued
			if e.light {
				b.light.waiting = append(b.light.waiting, e)
			} else {
				b.heavy.waiting = append(b.heavy.waiting, e)
			}
		}
	}
	for e := b.light.take(); e != nil; e = b.light.take() {
		// Ending such a check takes no time, so its target's timeout is exact.
		start = append(start, b.begin(now, e, e.target.Timeout))
	}
	for e := b.heavy.take(); e != nil; e = b.heavy.take() {
		start = append(start, b.begin(now, e, e.target.Timeout+abandonAfter))
	}
	return start, out
}

// begin has the check of e begin at now and be given up after bound.
func (b *board) begin(now time.Time, e *entry, bound time.Duration) *entry {
	e.run++
	e.state = running
	e.begun = now
	e.next = now.Add(bound)
	heap.Push(&b.timers, e)
	return e
}

// finish takes the result of a check, and appends the verdict to out where it is to
// be given out.
func (b *board) finish(out []Verdict, now time.Time, e *entry, run uint64, r Result, took time.Duration) []Verdict {
	switch {
	case e.state == gone || e.run != run:
		return out
	case e.stuck:
		e.stuck = false // judged when it was abandoned
		return out
	}
	heap.Remove(&b.timers, e.index)
	e.cancel = nil
	e.lane.running--
	return b.judge(out, now, e, r, took)
}

// judge brings a result into the verdict and books the next check.
func (b *board) judge(out []Verdict, now time.Time, e *entry, r Result, took time.Duration) []Verdict {
	v := &e.verdict
	news := e.published.IsZero() || v.Reason != r.Reason
	before := *v
	v.Checked, v.Reason, v.Detail, v.Duration = now, r.Reason, r.Detail, took
	warning := r.Outcome != Fail && (r.Outcome != Pass || r.Warning)
	news = news || warning != v.Warning
	v.Warning = warning
	if r.Outcome == Pass {
		news = news || r.Share != v.Share
		v.Share = r.Share
	}
	if r.Outcome == Pass || r.Outcome == Fail {
		h := Hysteresis{Status: v.Status, Rising: v.Rising, Falling: v.Falling}.
			Next(r.Outcome == Pass, e.rise(now), e.target.Fall)
		if r.Decided {
			h = Hysteresis{}.Next(r.Outcome == Pass, 1, 1)
		}
		if h.Status != v.Status {
			if v.Status == Up {
				v.Flaps = v.Flaps.Fell(now)
			}
			v.Since = now
			news = true
		}
		news = news || v.Known
		v.Status, v.Rising, v.Falling, v.Known = h.Status, h.Rising, h.Falling, false
	}
	if r.Outcome != Pass {
		e.troubled = now
	}
	e.history = e.history.add(now, v.Status, r, took)
	b.book(now, e)
	e.untold = e.untold || v.Detail != before.Detail || v.Rising != before.Rising || v.Falling != before.Falling
	switch {
	case news, now.Sub(e.published) >= refreshEvery && (e.untold || !b.digests):
		e.published, e.untold = now, false
		out = append(out, *v)
	case b.digests && !e.untold && !e.confirmed:
		e.confirmed = true
		b.confirmed = append(b.confirmed, e)
	}
	return out
}

// digest returns what was collected since the last one.
func (b *board) digest() Digest {
	d := Digest{IDs: make([]string, 0, len(b.confirmed))}
	for _, e := range b.confirmed {
		if e.confirmed = false; e.state != gone && !e.untold {
			d.add(e.verdict)
		}
	}
	clear(b.confirmed)
	b.confirmed = b.confirmed[:0]
	return d
}

// rise is how many successes bring the target back now.
func (e *entry) rise(now time.Time) int {
	if !e.target.Damping {
		return e.target.Rise
	}
	return e.verdict.Flaps.Rise(now, e.target.Rise)
}

// book sets when the target is checked next.
func (b *board) book(now time.Time, e *entry) {
	e.state = idle
	if every := e.interval(now); e.doubtful() {
		// Counted from the start of the last one, so that a judgement takes as
		// many of these intervals as it needs checks, whatever they take.
		e.next = e.begun.Add(every)
		if e.next.Before(now) {
			e.next = now
		}
	} else {
		e.next = nextCheck(b.base, now, e.target.ID, every, b.random)
	}
	heap.Push(&b.timers, e)
}

// deadline returns when advance has something to do next.
func (b *board) deadline() (time.Time, bool) {
	if len(b.timers) == 0 {
		return time.Time{}, false
	}
	return b.timers[0].next, true
}

// verdicts returns every verdict, sorted by ID.
func (b *board) verdicts() []Verdict {
	out := make([]Verdict, 0, len(b.entries))
	for _, e := range b.entries {
		out = append(out, e.verdict)
	}
	slices.SortFunc(out, func(a, b Verdict) int { return strings.Compare(a.ID, b.ID) })
	return out
}
