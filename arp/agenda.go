package arp

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// agenda holds all targets and says which is announced next. It is pure: time
// comes in as an argument.
type agenda struct {
	entries map[Target]*entry
	queue   queue
	pace    pace
	serial  uint64
}

// entry is one target.
type entry struct {
	target   Target
	schedule Schedule
	progress progress
	due      time.Time
	serial   uint64 // breaks ties in the order of arrival
	position int    // in the queue; -1 if nothing is due ever

	frames uint64
	err    error // of the last attempt
}

func newAgenda(p pace) *agenda { return &agenda{entries: map[Target]*entry{}, pace: p} }

// set makes targets the whole set. New ones are due at once; known ones go on
// where they are.
func (a *agenda) set(now time.Time, targets map[Target]Schedule) {
	for t, e := range a.entries {
		if _, wanted := targets[t]; !wanted {
			a.unqueue(e)
			delete(a.entries, t)
		}
	}
	for _, t := range sortedTargets(targets) {
		schedule := targets[t]
		switch e, known := a.entries[t]; {
		case !known:
			e = &entry{target: t, schedule: schedule, position: -1}
			a.entries[t] = e
			a.begin(now, e)
		case e.schedule != schedule:
			e.schedule = schedule
			a.resume(now, e)
		}
	}
}

// repeat starts every target's schedule over.
func (a *agenda) repeat(now time.Time) {
	entries := make([]*entry, 0, len(a.entries))
	for _, e := range a.entries {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(x, y *entry) int { return cmp.Compare(x.serial, y.serial) })
	for _, e := range entries {
		a.begin(now, e)
	}
}

func (a *agenda) begin(now time.Time, e *entry) {
	p, due, ok := e.schedule.begin(now)
	e.progress = p
	a.serial++
	e.serial = a.serial
	a.schedule(e, due, ok)
}

// resume fits an entry into a changed schedule.
func (a *agenda) resume(now time.Time, e *entry) {
	p := &e.progress
	if p.sent.IsZero() { // its first round is still to come
		a.begin(now, e)
		return
	}
	p.left = max(0, min(p.left, e.schedule.Burst))
	due, ok := e.schedule.next(p)
	a.schedule(e, due, ok)
}

// take returns the target to be announced now, if there is one. The caller
// answers with sent or failed.
func (a *agenda) take(now time.Time) (*entry, bool) {
	due, ok := a.deadline()
	if !ok || due.After(now) {
		return nil, false
	}
	return a.queue[0], true
}

// sent takes the news that the round of e was sent.
func (a *agenda) sent(now time.Time, e *entry) {
	a.pace.take(now)
	e.err = nil
	due, ok := e.schedule.advance(&e.progress, now)
	a.schedule(e, due, ok)
}

// failed keeps the round of e for later.
func (a *agenda) failed(e *entry, err error, retry time.Time) {
	e.err = err
	a.schedule(e, retry, true)
}

// retry makes everything due that waits because of a failure.
func (a *agenda) retry(now time.Time) {
	for _, e := range a.entries {
		if e.err != nil {
			a.schedule(e, now, true)
		}
	}
}

// deadline says when take will next return something.
func (a *agenda) deadline() (time.Time, bool) {
	if len(a.queue) == 0 {
		return time.Time{}, false
	}
	due := a.queue[0].due
	if next := a.pace.next(); next.After(due) {
		due = next
	}
	return due, true
}

func (a *agenda) schedule(e *entry, due time.Time, ok bool) {
	e.due = due
	switch {
	case !ok:
		a.unqueue(e)
	case e.position < 0:
		heap.Push(&a.queue, e)
	default:
		heap.Fix(&a.queue, e.position)
	}
}

func (a *agenda) unqueue(e *entry) {
	if e.position >= 0 {
		heap.Remove(&a.queue, e.position)
	}
}

func sortedTargets(targets map[Target]Schedule) []Target {
	list := make([]Target, 0, len(targets))
	for t := range targets {
		list = append(list, t)
	}
	slices.SortFunc(list, compareTargets)
	return list
}

func compareTargets(x, y Target) int {
	return cmp.Or(cmp.Compare(x.Interface, y.Interface), x.Address.Compare(y.Address))
}

// queue is a heap of entries, the earliest due first.
type queue []*entry

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	if !q[i].due.Equal(q[j].due) {
		return q[i].due.Before(q[j].due)
	}
	return q[i].serial < q[j].serial
}

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].position, q[j].position = i, j
}

func (q *queue) Push(x any) {
	e := x.(*entry)
	e.position = len(*q)
	*q = append(*q, e)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.position = -1
	return e
}
