package healthcheck

import (
	"cmp"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

const (
	// firstWithin bounds how long a new target waits for its first check, where there
	// are so few that firstEach for each of them takes no longer.
	firstWithin = 250 * time.Millisecond
	firstEach   = 100 * time.Microsecond
	// jitterShare is the part of an interval by which a check may be later than
	// its slot, so that checks do not fall into step with anything periodic.
	jitterShare = 20
	// tickShare is the part of an interval, at most longestTick, to which checks are
	// put together: waking up for each of them costs as much as half a check.
	tickShare   = 200
	longestTick = 5 * time.Millisecond
	// steadyAfter is how long a target has been up without a failure when it counts
	// as steady.
	steadyAfter = 10 * time.Minute
)

// phase places an ID within span: always the same place, and many IDs evenly.
func phase(id string, span time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(id))
	return time.Duration(h.Sum64() % uint64(span))
}

// firstCheck returns when a target that is new at now is checked first, as one of
// count targets: there is no herd at the start.
func firstCheck(now time.Time, t Target, count int) time.Time {
	return now.Add(phase(t.ID, min(t.Every, max(firstWithin, time.Duration(count)*firstEach))))
}

// nextCheck returns when a target is checked next: in its first slot after now,
// plus jitter, at a tick. Slots are every apart and start at base plus the phase of
// the ID, ticks at base, so lateness and jitter never add up.
func nextCheck(base, now time.Time, id string, every time.Duration, random *rand.Rand) time.Time {
	slot := base.Add(phase(id, every))
	// Also right where slot lies in the future: the quotient truncates to 0.
	if passed := now.Sub(slot); passed >= 0 {
		slot = slot.Add((passed/every + 1) * every)
	}
	next, tick := slot.Add(time.Duration(random.Int64N(int64(every/jitterShare)+1))), min(every/tickShare, longestTick)
	if past := next.Sub(base) % tick; past > 0 {
		next = next.Add(tick - past)
	}
	if next.Sub(slot) > every/jitterShare {
		next = next.Add(-tick)
	}
	return next
}

// doubtful reports whether results are on their way to another status.
func (e *entry) doubtful() bool { return e.verdict.Rising > 0 || e.verdict.Falling > 0 }

// interval is the time to the next check by what is believed of the target now.
func (e *entry) interval(now time.Time) time.Duration {
	t, v := e.target, e.verdict
	switch {
	case e.doubtful():
		return cmp.Or(t.EveryDoubt, t.Every)
	case v.Status == Down:
		return cmp.Or(t.EveryDown, t.Every)
	case v.Status == Up && now.Sub(v.Since) >= steadyAfter && now.Sub(e.troubled) >= steadyAfter:
		return cmp.Or(t.EverySteady, t.Every)
	}
	return t.Every
}
