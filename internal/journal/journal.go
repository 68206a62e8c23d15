package journal

import (
	"slices"
	"sync"
	"time"
)

// keep is how many events are held in memory.
const keep = 4096

// Journal is safe for concurrent use.
type Journal struct {
	file file

	mu      sync.Mutex
	events  []Event       // guarded by mu; at most keep, by ID
	last    uint64        // guarded by mu: the newest ID
	written uint64        // guarded by mu: the newest ID on disk
	lost    uint64        // guarded by mu: events that never came to the disk
	problem string        // guarded by mu: of the disk
	changed chan struct{} // guarded by mu; closed and replaced with each event

	wake     chan struct{}
	recalled chan struct{} // closed when the events of before were read, or cannot be
	stop     chan struct{}
	stopped  chan struct{}
	once     sync.Once
}

// New returns a journal whose newest file is path. It does nothing on the disk;
// that begins with Start.
func New(path string) *Journal {
	return &Journal{
		file: file{path: path}, changed: make(chan struct{}), wake: make(chan struct{}, 1),
		recalled: make(chan struct{}), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// Start begins to read what was written before and to write what is added.
func (j *Journal) Start() { go j.run() }

// Add takes note of an event and gives it its ID. It never waits for the disk.
func (j *Journal) Add(e Event) {
	j.mu.Lock()
	e.ID = max(uint64(e.At.UnixMicro()), j.last+1)
	j.last = e.ID
	j.events = append(j.events, e)
	if over := len(j.events) - keep; over > 0 {
		for _, gone := range j.events[:over] {
			if gone.ID > j.written {
				j.lost++
			}
		}
		j.events = slices.Delete(j.events, 0, over)
	}
	close(j.changed)
	j.changed = make(chan struct{})
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// After returns the events in memory with an ID above id and not before since, and
// what is closed when there are more.
func (j *Journal) After(id uint64, since time.Time) ([]Event, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []Event
	for _, e := range j.events {
		if e.ID > id && !e.At.Before(since) {
			found = append(found, e)
		}
	}
	return found, j.changed
}

// Recalled is closed when the events of earlier runs are in memory, or cannot be
// read.
func (j *Journal) Recalled() <-chan struct{} { return j.recalled }

// Trouble says what keeps events from the disk, empty if nothing does, and how many
// never came there.
func (j *Journal) Trouble() (string, uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.problem, j.lost
}

// Close writes what is left, and gives up after the bound: a disk may be stuck.
func (j *Journal) Close(bound time.Duration) {
	j.once.Do(func() { close(j.stop) })
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-j.stopped:
	case <-timer.C:
	}
}

// recall puts the events of earlier runs before those of this one.
func (j *Journal) recall(earlier []Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.events) > 0 {
		first := j.events[0].ID
		earlier = slices.DeleteFunc(earlier, func(e Event) bool { return e.ID >= first })
	}
	if room := keep - len(j.events); len(earlier) > room {
		earlier = earlier[len(earlier)-room:]
	}
	if n := len(earlier); n > 0 {
		j.written = max(j.written, earlier[n-1].ID)
		j.last = max(j.last, earlier[n-1].ID)
	}
	j.events = append(slices.Clip(earlier), j.events...)
}

// unwritten returns the events that are not on disk yet.
func (j *Journal) unwritten() []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	i, _ := slices.BinarySearchFunc(j.events, j.written+1, func(e Event, id uint64) int {
		switch {
		case e.ID < id:
			return -1
		case e.ID > id:
			return 1
		}
		return 0
	})
	return slices.Clone(j.events[i:])
}

func (j *Journal) wrote(upTo uint64, problem string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.written, j.problem = max(j.written, upTo), problem
}
