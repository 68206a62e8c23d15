package track

import "time"

// Debounce turns the news of a link into a status that a link which flaps does
// not change: it is down once it was so for the down delay, and up again once it
// was so for the up delay. The first news that it is up counts at once. It has no
// clock: the time is an argument. The zero value has no delays and knows nothing.
type Debounce struct {
	UpDelay, DownDelay time.Duration
	status             Status
	seen               Status // the latest news
	at                 time.Time
	since              time.Time // of status
}

// See takes news of the link. News that repeats what is known changes nothing.
func (d *Debounce) See(now time.Time, up bool) {
	seen := Down
	if up {
		seen = Up
	}
	if seen != d.seen {
		d.seen, d.at = seen, now
	}
	d.Advance(now)
}

// Advance lets the time pass until now.
func (d *Debounce) Advance(now time.Time) {
	if due, waits := d.Deadline(); waits && !now.Before(due) {
		d.status, d.since = d.seen, due
	}
}

// Deadline returns when the status changes without further news, and false for
// never.
func (d *Debounce) Deadline() (time.Time, bool) {
	switch {
	case d.seen == d.status:
		return time.Time{}, false
	case d.seen == Down:
		return d.at.Add(d.DownDelay), true
	case d.status == Unknown:
		return d.at, true
	}
	return d.at.Add(d.UpDelay), true
}

// Since returns when the status became what it is.
func (d *Debounce) Since() time.Time { return d.since }

// Status returns what is believed of the link.
func (d *Debounce) Status() Status { return d.status }
