package director

import (
	"time"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/vrrp"
)

const (
	// watchEvery is how often a master asks the segment, unprompted, whether
	// somebody else has one of its addresses.
	watchEvery = 30 * time.Second
	// questionSpacing is the time between such questions of all routers together: a
	// node of a thousand asks more seldom for each.
	questionSpacing = 100 * time.Millisecond
	// rivalEvery is how often it asks while somebody has.
	rivalEvery = time.Second
	// shortestWait is how long after a claim, or for an answer, is waited at least:
	// news of the own role may be on its way.
	shortestWait = 20 * time.Millisecond
	// longestWait is how long is waited for an answer at most.
	longestWait = 200 * time.Millisecond
)

// rival is what a master knows of a second one. It is plain data: the time is an
// argument.
type rival struct {
	interval time.Duration
	among    int       // how many routers this node has
	master   time.Time // since when this node is master; zero: it is not
	settled  time.Time // from when on a second owner is none that gives way
	due      time.Time // of the next question; zero while one is under way
	asked    int       // questions so far: each is about the next address

	since, seen    time.Time // of the second master; since is zero while there is none
	with, evidence string
	episodes       uint64
}

// enter takes note of a role. Who takes over is not alone at once: whoever gave
// way keeps the addresses until they were announced.
func (r *rival) enter(role Role, interval time.Duration) {
	r.interval = interval
	if role.State != vrrp.Master {
		r.master, r.due = time.Time{}, time.Time{}
		return
	}
	if r.master.Equal(role.Since) {
		return
	}
	r.master = role.Since
	r.settled = role.Since.Add(r.grace(role.Reason))
	r.due = r.settled
}

// grace is how long after a takeover somebody else may rightly have the addresses.
func (r *rival) grace(reason vrrp.Reason) time.Duration {
	if reason == vrrp.ReasonMasterResigned {
		return max(2*r.interval, yieldBound+100*time.Millisecond)
	}
	return max(2*r.interval, 2*shortestWait)
}

// patience is how long an answer is waited for.
func (r *rival) patience() time.Duration { return min(max(r.interval/2, shortestWait), longestWait) }

// claimed asks soon, since somebody has claimed an address.
func (r *rival) claimed(now time.Time) {
	soon := now.Add(max(shortestWait, r.interval/2))
	if soon.Before(r.settled) {
		soon = r.settled
	}
	if !r.master.IsZero() && !r.due.IsZero() && soon.Before(r.due) {
		r.due = soon
	}
}

// ask begins a question.
func (r *rival) ask() { r.due, r.asked = time.Time{}, r.asked+1 }

// answered ends a question; who is empty if nobody answered. It reports whether a
// second master is news.
func (r *rival) answered(now time.Time, who string) bool {
	if r.master.IsZero() {
		return false
	}
	news := who != "" && r.met(now, who, "arp")
	next := max(watchEvery, time.Duration(r.among)*questionSpacing)
	if !r.since.IsZero() {
		next = max(rivalEvery, r.interval)
	}
	r.due = now.Add(next)
	return news
}

// met takes note of evidence. It reports whether a second master is news.
func (r *rival) met(now time.Time, who, evidence string) bool {
	if r.master.IsZero() || now.Before(r.settled) {
		return false
	}
	r.seen, r.with, r.evidence = now, who, evidence
	if !r.since.IsZero() {
		return false
	}
	r.since = now
	r.episodes++
	return true
}

// expiry is when a second master that gives no more sign of itself counts as gone.
func (r *rival) expiry() time.Time {
	return r.seen.Add(2*max(rivalEvery, r.interval) + r.interval)
}

// over ends an episode if it is over, and reports whether it was: the second
// master is gone, or this node is none any more.
func (r *rival) over(now time.Time) bool {
	if r.since.IsZero() || !r.master.IsZero() && now.Before(r.expiry()) {
		return false
	}
	r.since = time.Time{}
	return true
}

// next is when something is to be done, and false for never.
func (r *rival) next() (time.Time, bool) {
	next := r.due
	if !r.since.IsZero() && (next.IsZero() || r.expiry().Before(next)) {
		next = r.expiry()
	}
	return next, !next.IsZero()
}

func (r *rival) status(now time.Time) *control.SplitBrain {
	if r == nil || r.since.IsZero() {
		return nil
	}
	return &control.SplitBrain{Since: r.since, With: r.with, Evidence: r.evidence, Seen: control.Since(r.seen, now)}
}
