package lab

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/haldir-lb/haldir/lab/traffic"
)

// ClientRun is a client at work. Its methods may be called by many goroutines.
type ClientRun struct {
	agent *agent

	mu      sync.Mutex
	marked  map[string]bool
	reports []traffic.Report
	latest  map[string]traffic.Tick // by stream
	changed chan struct{}           // closed and replaced at each message
}

// StartClient starts the requests that the Spec asks for and waits until they
// leave. Watch, if not nil, is called with each tick in order; it must not block.
func (c *Cluster) StartClient(ctx context.Context, watch func(traffic.Tick)) (*ClientRun, error) {
	r := &ClientRun{
		marked: make(map[string]bool), latest: make(map[string]traffic.Tick), changed: make(chan struct{}),
	}
	agent, err := c.Node(Client).startAgent(ctx, "client", c.Spec.clientConfig(), func(m traffic.Message) {
		if m.Tick != nil && watch != nil {
			watch(*m.Tick)
		}
		r.note(m)
	})
	if err != nil {
		return nil, err
	}
	r.agent = agent
	c.clients = append(c.clients, r)
	return r, nil
}

func (r *ClientRun) note(m traffic.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case m.Tick != nil:
		r.latest[m.Tick.Stream] = *m.Tick
	case m.Marked != "":
		r.marked[m.Marked] = true
	case m.Reports != nil:
		r.reports = m.Reports
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// until waits for a condition, which is tried after each message under the lock.
func (r *ClientRun) until(ctx context.Context, what string, condition func() bool) error {
	for {
		r.mu.Lock()
		done, changed := condition(), r.changed
		r.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-r.agent.read:
			r.mu.Lock()
			defer r.mu.Unlock()
			if condition() {
				return nil
			}
			return fmt.Errorf("waiting for the client to see %s: the client has ended", what)
		case <-ctx.Done():
			return fmt.Errorf("waiting for the client to see %s: %w", what, context.Cause(ctx))
		}
	}
}

// Until waits until a tick of the stream ("udp" or "tcp") meets the condition,
// which what describes. Requests from before the call do not count.
func (r *ClientRun) Until(ctx context.Context, stream, what string, condition func(traffic.Tick) bool) error {
	seen := time.Now()
	return r.until(ctx, what, func() bool {
		tick := r.latest[stream]
		if !tick.At.After(seen) {
			return false
		}
		seen = tick.At
		return condition(tick)
	})
}

// Mark begins a phase of the account: the requests from now on belong to it.
// Names must differ.
func (r *ClientRun) Mark(ctx context.Context, phase string) error {
	if err := r.agent.tell(traffic.Command{Mark: phase}); err != nil {
		return err
	}
	return r.until(ctx, "the mark "+phase, func() bool { return r.marked[phase] })
}

// Stop sends no more requests, waits for the outstanding answers and returns the
// account: one report for each stream and phase, in order.
func (r *ClientRun) Stop(ctx context.Context) ([]traffic.Report, error) {
	if err := r.agent.tell(traffic.Command{Stop: true}); err != nil {
		return nil, err
	}
	if err := r.until(ctx, "the end", func() bool { return r.reports != nil }); err != nil {
		return nil, err
	}
	<-r.agent.read
	if err := errors.Join(r.agent.wait(ctx), r.agent.input.Close()); err != nil {
		return nil, fmt.Errorf("ending the client: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reports, nil
}

// Find returns the report of a stream and phase.
func Find(reports []traffic.Report, stream, phase string) (traffic.Report, bool) {
	for _, r := range reports {
		if r.Stream == stream && r.Phase == phase {
			return r, true
		}
	}
	return traffic.Report{}, false
}
