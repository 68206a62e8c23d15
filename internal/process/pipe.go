package process

import (
	"encoding/json"
	"sync"
)

// Pipe returns the two ends of a link inside one process, so that roles can be
// run together in a test. Messages are encoded as on a real link.
func Pipe() (Link, Link) {
	a, b := newPipeEnd(), newPipeEnd()
	go a.deliver(b)
	go b.deliver(a)
	return a, b
}

type pipeEnd struct {
	out     *outbox
	in      chan Message
	closing sync.Once
	gone    chan struct{}
}

func newPipeEnd() *pipeEnd {
	return &pipeEnd{out: newOutbox(), in: make(chan Message), gone: make(chan struct{})}
}

func (e *pipeEnd) deliver(to *pipeEnd) {
	defer close(to.in)
	for {
		data, ok := e.out.take()
		if !ok {
			return
		}
		var m Message
		if err := json.Unmarshal(data, &m); err != nil {
			continue // cannot be: encoded by put
		}
		select {
		case to.in <- m:
		case <-to.gone:
			return
		}
	}
}

func (e *pipeEnd) Send(kind, key string, body any) error { return e.out.put(kind, key, body) }

func (e *pipeEnd) Receive() <-chan Message { return e.in }

func (e *pipeEnd) Close() error {
	e.closing.Do(func() {
		close(e.gone)
		e.out.close()
	})
	return nil
}
