package process

import "time"

const (
	// shortLife is how long a process must live for its death not to delay the
	// next start.
	shortLife = 200 * time.Millisecond
	// freeRestarts is how many short lives in a row are followed by a restart
	// at once.
	freeRestarts = 2
	firstDelay   = 10 * time.Millisecond
	longestDelay = time.Second
	// crashLoop is how many short lives in a row are called a crash loop.
	// With the delays between them that takes at most about three seconds.
	crashLoop = 10
	// settledLife is how long a process must live for its death not to count
	// towards the slower kind of crash loop: one that works for a moment each
	// time.
	settledLife   = time.Second
	slowCrashLoop = 100
)

// backoff decides when a process that died is started again.
type backoff struct {
	shortLives     int // in a row
	unsettledLives int // in a row
}

// died records a death after a life of the given length. It returns the delay
// before the next start and whether this is a crash loop.
func (b *backoff) died(life time.Duration) (delay time.Duration, looping bool) {
	b.unsettledLives++
	if life >= settledLife {
		b.unsettledLives = 0
	}
	if life >= shortLife {
		b.shortLives = 0
		return 0, b.unsettledLives >= slowCrashLoop
	}
	b.shortLives++
	if b.shortLives <= freeRestarts {
		return 0, b.unsettledLives >= slowCrashLoop
	}
	shift := min(b.shortLives-freeRestarts-1, 20)
	return min(firstDelay<<shift, longestDelay), b.shortLives >= crashLoop || b.unsettledLives >= slowCrashLoop
}
