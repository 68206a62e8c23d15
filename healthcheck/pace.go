package healthcheck

import (
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
// plus jitter. Slots are Every apart and start at base plus the phase of the
// ID, so lateness and jitter never add up.
func nextCheck(base, now time.Time, t Target, random *rand.Rand) time.Time {
	slot := base.Add(phase(t.ID, t.Every))
	// Also right where slot lies in the future: the quotient truncates to 0.
	if passed := now.Sub(slot); passed >= 0 {
		slot = slot.Add((passed/t.Every + 1) * t.Every)
	}
	return slot.Add(time.Duration(random.Int64N(int64(t.Every/jitterShare) + 1)))
}
