package vrrp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// ErrStopped is returned by calls on a Speaker whose Run has returned.
var ErrStopped = errors.New("the VRRP speaker has stopped")

// Speaker runs the virtual routers of a node. One goroutine, Run, owns all their
// state; every other method hands it a value and never waits for a socket. What
// is due together leaves in one batch per interface and family, and no step waits for the
// sink, the log or the kernel's configuration.
//
// Goroutines that Run starts: one that writes the log, and for each interface and
// family one that keeps its port open and one that receives.
type Speaker struct {
	net  Network
	sink func(Transition)
	log  *asyncHandler

	wake chan struct{} // capacity 1: queue is not empty
	done chan struct{} // closed when Run has returned

	mu      sync.Mutex // guards the following
	queue   []func(now time.Time, l *loop)
	started bool
}

// NewSpeaker returns a Speaker without routers. The sink is called by Run for
// each transition in order, after the adverts that go with it were sent; it must
// not block.
func NewSpeaker(net Network, sink func(Transition), log *slog.Logger) *Speaker {
	return &Speaker{
		net: net, sink: sink, log: newAsyncHandler(log.Handler()),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// Run drives the routers until ctx ends, and then stops without another packet,
// as a crash would; call Shutdown first to hand over. It can be called once.
func (s *Speaker) Run(ctx context.Context) error {
	s.mu.Lock()
	again := s.started
	s.started = true
	s.mu.Unlock()
	if again {
		return errors.New("running a VRRP speaker: it can be run only once")
	}
	defer close(s.done)
	var logging sync.WaitGroup
	logging.Go(s.log.run)
	defer logging.Wait()
	defer s.log.stop()

	ctx, cancel := context.WithCancel(ctx)
	l := newLoop(ctx, s)
	defer l.keepers.Wait()
	defer cancel()
	l.run(ctx)
	return nil
}

// Set makes the given routers the ones that run, whatever ran before. A router
// that is new starts, from resume if that has its name; one that is still there
// (same name, interface and VRID) takes over changed parameters without losing
// its role; one that is gone hands over with priority 0 and vanishes when its
// successor was heard. A configuration that cannot be used is a problem that
// Status shows: a new router does not run, one that runs goes on as it was. After Shutdown, Set has no effect.
func (s *Speaker) Set(routers []RouterConfig, resume map[string]Resume) {
	routers = slices.Clone(routers)
	for i := range routers {
		routers[i].Addresses = slices.Clone(routers[i].Addresses)
		routers[i].Peers = slices.Clone(routers[i].Peers)
	}
	resume = maps.Clone(resume)
	s.post(func(now time.Time, l *loop) { l.set(now, routers, resume) })
}

// Link tells that the carrier of an interface was lost or is there. Interfaces
// that were never mentioned count as up.
func (s *Speaker) Link(ifname string, up bool) {
	s.post(func(now time.Time, l *loop) { l.carrier(now, ifname, up) })
}

// Handover has those of the named routers that are master give their role away:
// each resigns with priority 0, stays in Leaving until a successor is heard, and
// is a backup then that does not preempt. One without a successor is master again
// after a bound. It returns at once; the transitions tell how it went.
func (s *Speaker) Handover(routers []string) {
	routers = slices.Clone(routers)
	s.post(func(now time.Time, l *loop) {
		for _, name := range routers {
			if r := l.routers[name]; r != nil && !r.removing {
				l.step(now, r, Event{Kind: EventHandover})
			}
		}
	})
}

// Shutdown hands over for good: each master resigns with priority 0, stays in
// Leaving until a successor is heard or a bound passes, and ends in Init. It
// returns when all routers are there, or with the error of ctx; the hand-over
// goes on in that case.
func (s *Speaker) Shutdown(ctx context.Context) error {
	reply := make(chan struct{})
	s.post(func(now time.Time, l *loop) { l.shutdown(now, reply) })
	select {
	case <-reply:
		return nil
	case <-s.done:
		return fmt.Errorf("shutting down: %w", ErrStopped)
	case <-ctx.Done():
		return fmt.Errorf("shutting down: waiting for successors: %w", ctx.Err())
	}
}

// Status returns a snapshot of all routers, sorted by name.
func (s *Speaker) Status(ctx context.Context) ([]RouterStatus, error) {
	reply := make(chan []RouterStatus, 1)
	s.post(func(now time.Time, l *loop) { reply <- l.status(now) })
	select {
	case status := <-reply:
		return status, nil
	case <-s.done:
		return nil, fmt.Errorf("reading the VRRP status: %w", ErrStopped)
	case <-ctx.Done():
		return nil, fmt.Errorf("reading the VRRP status: %w", ctx.Err())
	}
}

// Lateness returns how late adverts were sent.
func (s *Speaker) Lateness(ctx context.Context) (Lateness, error) {
	reply := make(chan Lateness, 1)
	s.post(func(_ time.Time, l *loop) { reply <- l.lateness })
	select {
	case lateness := <-reply:
		return lateness, nil
	case <-s.done:
		return Lateness{}, fmt.Errorf("reading the lateness of adverts: %w", ErrStopped)
	case <-ctx.Done():
		return Lateness{}, fmt.Errorf("reading the lateness of adverts: %w", ctx.Err())
	}
}

// post queues a function for the loop.
func (s *Speaker) post(fn func(now time.Time, l *loop)) {
	s.mu.Lock()
	s.queue = append(s.queue, fn)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take returns what was queued, in order.
func (s *Speaker) take() []func(now time.Time, l *loop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queue
	s.queue = nil
	return queue
}
