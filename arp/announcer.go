package arp

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// retryAfter is how long an interface rests that could not be opened or
	// written to.
	retryAfter = 500 * time.Millisecond
	// recheckAfter is how long an open port is trusted to belong to the
	// interface of its name, and to carry its hardware address.
	recheckAfter = time.Second
	// batch bounds the rounds sent before the loop looks for a newer set.
	batch = 64
)

// Announcer announces a set of addresses, each by its schedule. Its methods may
// be called from any goroutine.
type Announcer struct {
	open Opener
	log  *slog.Logger

	mu      sync.Mutex
	targets map[Target]Schedule // the latest set; nil if it was taken
	again   bool                // Repeat was called
	wake    chan struct{}

	status chan chan []TargetStatus

	// The loop's own.
	agenda *agenda
	ports  map[string]*portState
}

// TargetStatus is what became of one target so far.
type TargetStatus struct {
	Target
	Frames  uint64    // handed to the kernel since the target was set; a round is two, of IPv6 or a moving MAC one
	Last    time.Time // of the last round; the zero value if there was none
	Next    time.Time // of the next round; the zero value if none will follow
	Problem string    // why the last attempt failed; empty if it did not
}

// portState is an interface as the loop knows it: open, or failed.
type portState struct {
	port    Port
	checked time.Time // when the port was opened or found current
	err     error     // of the last attempt
	retry   time.Time // not to be tried before
	logged  string    // the error that the log has; empty if all is well
}

// NewAnnouncer returns an Announcer that does nothing until Run is called.
func NewAnnouncer(open Opener, log *slog.Logger) *Announcer {
	return &Announcer{
		open:   open,
		log:    log,
		wake:   make(chan struct{}, 1),
		status: make(chan chan []TargetStatus),
		agenda: newAgenda(defaultPace()),
		ports:  map[string]*portState{},
	}
}

// Set makes targets the whole set. It never blocks; of several sets in a row
// the last one counts. Targets that are new are announced at once, those that
// are gone are no longer announced, all others go on as they are.
func (a *Announcer) Set(targets map[Target]Schedule) {
	a.mu.Lock()
	a.targets = maps.Clone(targets)
	if a.targets == nil {
		a.targets = map[Target]Schedule{}
	}
	a.mu.Unlock()
	a.nudge()
}

// Repeat starts the schedule of every target over, as after a second master
// was seen. It never blocks.
func (a *Announcer) Repeat() {
	a.mu.Lock()
	a.again = true
	a.mu.Unlock()
	a.nudge()
}

func (a *Announcer) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Status returns the state of every target, ordered by interface and address.
// It waits for Run to answer, or for the end of ctx.
func (a *Announcer) Status(ctx context.Context) ([]TargetStatus, error) {
	answer := make(chan []TargetStatus, 1)
	select {
	case a.status <- answer:
		return <-answer, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Run announces until ctx ends, and then returns nil. An interface that fails
// or vanishes is tried again and hinders no other. Run must be called once.
func (a *Announcer) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer a.closeUnused(nil)
	for ctx.Err() == nil {
		a.receive(time.Now())
		a.announce(ctx)
		timer.Stop()
		if due, ok := a.agenda.deadline(); ok {
			timer.Reset(time.Until(due))
		}
		select {
		case <-ctx.Done():
		case <-a.wake:
		case <-timer.C:
		case answer := <-a.status:
			answer <- a.report()
		}
	}
	return nil
}

// receive takes the latest set.
func (a *Announcer) receive(now time.Time) {
	a.mu.Lock()
	targets, again := a.targets, a.again
	a.targets, a.again = nil, false
	a.mu.Unlock()
	if targets == nil && !again {
		return
	}
	// Something changed, so what failed before is worth a try.
	for _, p := range a.ports {
		p.retry = now
	}
	if targets != nil {
		a.agenda.set(now, targets)
		a.closeUnused(targets)
	}
	if again {
		a.agenda.repeat(now)
	}
	a.agenda.retry(now)
}

// announce sends what is due, up to a batch.
func (a *Announcer) announce(ctx context.Context) {
	for range batch {
		now := time.Now()
		e, ok := a.agenda.take(now)
		if !ok || ctx.Err() != nil {
			return
		}
		p := a.port(e.target.Interface, now)
		if p.err == nil {
			if err := round(p.port, e); err != nil {
				a.fail(e.target.Interface, p, err, now)
			}
		}
		if p.err != nil {
			a.agenda.failed(e, p.err, p.retry)
			continue
		}
		if p.logged != "" {
			a.log.Info("announcing addresses again", "interface", e.target.Interface)
			p.logged = ""
		}
		a.agenda.sent(now, e)
	}
}

func round(port Port, e *entry) error {
	for _, form := range formsOf(e.target.Address, e.schedule.MovingMAC) {
		if err := port.Announce(form, e.target.Address); err != nil {
			return err
		}
		e.frames++
	}
	return nil
}

// port returns the interface's port, opened where necessary.
func (a *Announcer) port(ifname string, now time.Time) *portState {
	p := a.ports[ifname]
	if p == nil {
		p = &portState{}
		a.ports[ifname] = p
	}
	if p.port != nil && now.Sub(p.checked) >= recheckAfter {
		p.checked = now
		if !p.port.Current() {
			p.close()
			p.retry = now
		}
	}
	if p.port != nil || now.Before(p.retry) {
		return p
	}
	port, err := a.open(ifname)
	if err != nil {
		a.fail(ifname, p, err, now)
		return p
	}
	p.port, p.checked, p.err = port, now, nil
	return p
}

// fail closes the port until it is time to try again. The log gets each error
// once.
func (a *Announcer) fail(ifname string, p *portState, err error, now time.Time) {
	p.close()
	p.err, p.retry = err, now.Add(retryAfter)
	if err.Error() != p.logged {
		p.logged = err.Error()
		a.log.Warn("cannot announce addresses", "interface", ifname, "error", err)
	}
}

func (p *portState) close() {
	if p.port != nil {
		_ = p.port.Close()
		p.port = nil
	}
}

// closeUnused closes the ports of interfaces that have no target.
func (a *Announcer) closeUnused(targets map[Target]Schedule) {
	used := map[string]bool{}
	for t := range targets {
		used[t.Interface] = true
	}
	for ifname, p := range a.ports {
		if !used[ifname] {
			p.close()
			delete(a.ports, ifname)
		}
	}
}

func (a *Announcer) report() []TargetStatus {
	list := make([]TargetStatus, 0, len(a.agenda.entries))
	for _, e := range a.agenda.entries {
		s := TargetStatus{Target: e.target, Frames: e.frames}
		if e.frames > 0 {
			s.Last = e.progress.sent
		}
		if e.position >= 0 {
			s.Next = e.due
		}
		if e.err != nil {
			s.Problem = e.err.Error()
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(x, y TargetStatus) int {
		return cmp.Or(cmp.Compare(x.Interface, y.Interface), x.Address.Compare(y.Address))
	})
	return list
}
