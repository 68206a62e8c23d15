package process

import (
	"container/list"
	"encoding/json"
	"fmt"
	"sync"
)

// outbox is a queue in which the newest message of a kind and key replaces an
// older one that still waits. Any number of goroutines may put; one takes.
type outbox struct {
	mu      sync.Mutex
	queue   *list.List             // guarded by mu: queued, in order of delivery
	waiting map[name]*list.Element // guarded by mu: what is in the queue
	closed  bool                   // guarded by mu
	wake    chan struct{}
	done    chan struct{}
}

// name is what makes a message replace another.
type name struct{ kind, key string }

type queued struct {
	name name
	data []byte // a Message in JSON
}

func newOutbox() *outbox {
	return &outbox{
		queue: list.New(), waiting: make(map[name]*list.Element),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

func (o *outbox) put(kind, key string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding a %q message: %w", kind, err)
	}
	data, err := json.Marshal(Message{Kind: kind, Body: raw})
	if err != nil {
		return fmt.Errorf("encoding a %q message: %w", kind, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return fmt.Errorf("sending a %q message: %w", kind, ErrClosed)
	}
	n := name{kind, key}
	if older, ok := o.waiting[n]; ok {
		o.queue.Remove(older)
	}
	o.waiting[n] = o.queue.PushBack(queued{n, data})
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return nil
}

// take waits for the next message; false means that the outbox was closed.
func (o *outbox) take() ([]byte, bool) {
	for {
		if data, ok := o.next(); ok {
			return data, true
		}
		select {
		case <-o.wake:
		case <-o.done:
			return nil, false
		}
	}
}

func (o *outbox) next() ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := o.queue.Front()
	if first == nil || o.closed {
		return nil, false
	}
	q := o.queue.Remove(first).(queued)
	delete(o.waiting, q.name)
	return q.data, true
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = true
		close(o.done)
	}
}
