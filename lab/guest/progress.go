package guest

import "time"

// Progress is told what is being done: once with Done false when it begins, and
// once with Done true when it has ended. A nil Progress is told nothing.
type Progress func(Event)

// Event is the beginning or the end of one piece of preparation, which may take
// from a moment to minutes.
type Event struct {
	What string        // "downloading linux-image-…"
	Done bool          // false: begins now
	Took time.Duration // with Done
	Note string        // with Done: what came of it, "26 MiB"; may be empty
	Err  error         // with Done: why it failed; nil: it did not
}

// step tells of the beginning of do, runs it, and tells of its end.
func (p Progress) step(what string, do func() (note string, err error)) error {
	if p == nil {
		p = func(Event) {}
	}
	p(Event{What: what})
	started := time.Now()
	note, err := do()
	p(Event{What: what, Done: true, Took: time.Since(started), Note: note, Err: err})
	return err
}
