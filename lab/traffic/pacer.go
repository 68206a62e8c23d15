package traffic

import "time"

// maxBacklog is how far a client may fall behind before it gives up the requests
// that it should have sent meanwhile.
const maxBacklog = time.Second

// Pacer says when each request is due: at an even pace from a fixed beginning, so
// that lateness does not add up. A client that was held up catches up at twice
// the pace, not in a burst. Times are offsets from any one beginning.
type Pacer struct {
	period  time.Duration
	due     time.Duration // of the next request
	last    time.Duration // when the latest was sent
	started bool
	skipped uint64
}

// NewPacer returns a pacer of rate requests a second, at least 1, whose first
// request is due at begin.
func NewPacer(begin time.Duration, rate int) *Pacer {
	return &Pacer{period: time.Second / time.Duration(rate), due: begin}
}

// Next returns when to send the next request.
func (p *Pacer) Next() time.Duration {
	if p.started && p.last+p.period/2 > p.due {
		return p.last + p.period/2
	}
	return p.due
}

// Sent takes note that the next request was sent at now, and returns how late
// that was. After a lateness of more than a second, the requests that were due in
// between are given up.
func (p *Pacer) Sent(now time.Duration) (late time.Duration) {
	late = max(now-p.due, 0)
	p.due += p.period
	p.last, p.started = now, true
	if behind := now - p.due; behind > maxBacklog {
		missed := behind / p.period
		p.skipped += uint64(missed)
		p.due += missed * p.period
	}
	return late
}

// Skipped is how many requests were given up.
func (p *Pacer) Skipped() uint64 { return p.skipped }
