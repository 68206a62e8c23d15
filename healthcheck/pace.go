package healthcheck

import (
	"cmp"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

const (
	// firstWithin bounds how long a new target waits for its first check.
	firstWithin = 250 * time.Millisecond
	// jitterShare is the part of an interval by which a check may be later than
	// its slot, so that checks do not fall into step with anything periodic.
	jitterShare = 20
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

// firstCheck returns when a target that is new at now is checked first.
func firstCheck(now time.Time, t Target) time.Time {
	return now.Add(phase(t.ID, min(t.Every, firstWithin)))
}

// nextCheck returns when a target is checked next: in its first slot after now,
// plus jitter. Slots are every apart and start at base plus the phase of the
// ID, so lateness and jitter never add up.
func nextCheck(base, now time.Time, id string, every time.Duration, random *rand.Rand) time.Time {
	slot := base.Add(phase(id, every))
	// Also right where slot lies in the future: the quotient truncates to 0.
	if passed := now.Sub(slot); passed >= 0 {
		slot = slot.Add((passed/every + 1) * every)
	}
	return slot.Add(time.Duration(random.Int64N(int64(every/jitterShare) + 1)))
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
