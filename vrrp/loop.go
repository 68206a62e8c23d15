package vrrp

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// drainLen is how many received batches are handled before what is due is sent,
// so that no flood holds adverts back.
const drainLen = 8

// loop is the state of Speaker.Run. Only that goroutine touches it.
type loop struct {
	ctx     context.Context // of the keepers
	net     Network
	sink    func(Transition)
	log     *slog.Logger
	speaker *Speaker
	keepers sync.WaitGroup

	links    map[linkKey]*link
	carriers map[string]bool // news of interfaces, also of those without routers
	routers  map[string]*router
	groups   map[string]*group
	desired  []RouterConfig    // the last Set, sorted by name
	resume   map[string]Resume // of the last Set
	stopping bool
	waiting  []chan<- struct{} // calls of Shutdown

	timers      timers
	packet      Packet       // reused for every datagram
	nobody      RouterConfig // zero: for packets of a VRID that is not ours
	sending     []*link
	transitions []Transition
	actions     []Action // lent to every machine
	sweep       bool     // a router reached Init in this turn
	lateness    Lateness

	news    chan news
	batches chan *batch
}

func newLoop(ctx context.Context, s *Speaker) *loop {
	return &loop{
		ctx: ctx, net: s.net, sink: s.sink, log: slog.New(s.log), speaker: s,
		links: map[linkKey]*link{}, carriers: map[string]bool{}, routers: map[string]*router{}, groups: map[string]*group{},
		actions: make([]Action, 0, 8),
		news:    make(chan news), batches: make(chan *batch, drainLen),
	}
}

func (l *loop) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var armed time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			armed = time.Time{}
		case b := <-l.batches:
			l.receive(time.Now(), b)
		case n := <-l.news:
			l.handle(time.Now(), n)
		case <-l.speaker.wake:
			now := time.Now()
			for _, fn := range l.speaker.take() {
				fn(now, l)
			}
		}
		if now := time.Now(); l.due(now) {
			// What was received counts before what is due.
			l.drain(now)
			l.advance(now)
		}
		l.flush()
		if len(l.timers) > 0 && !l.timers[0].deadline.Equal(armed) {
			armed = l.timers[0].deadline
			timer.Reset(time.Until(armed))
		}
	}
}

func (l *loop) due(now time.Time) bool {
	return len(l.timers) > 0 && !l.timers[0].deadline.After(now)
}

// drain handles what readers have ready.
func (l *loop) drain(now time.Time) {
	for range drainLen {
		select {
		case b := <-l.batches:
			l.receive(now, b)
		default:
			return
		}
	}
}

// advance handles the timers that are due.
func (l *loop) advance(now time.Time) {
	for l.due(now) {
		r := l.timers[0]
		r.noteLateness(now.Sub(r.deadline))
		if r.state() == Master {
			l.lateness.add(r.late)
		}
		l.drive(now, r, nil)
	}
	l.join(now)
}

// join has the adverts that are nearly due leave with those that are.
func (l *loop) join(now time.Time) {
	if len(l.sending) == 0 {
		return
	}
	for len(l.timers) > 0 {
		r := l.timers[0]
		actions := r.machine.Join(now)
		if len(actions) == 0 {
			return
		}
		r.noteLateness(0)
		l.lateness.add(0)
		l.perform(r, actions)
	}
}

// step hands an event to a router that has a machine.
func (l *loop) step(now time.Time, r *router, ev Event) {
	if r.machine == nil {
		return
	}
	was, late, running := r.state(), now.Sub(r.deadline), r.index >= 0
	l.drive(now, r, &ev)
	// The advert of a master that overslept and heard its successor first.
	if running && was == Master && r.state() == Backup && r.machine.reason == ReasonStalled {
		r.noteLateness(late)
		l.lateness.add(late)
	}
}

// drive lets a machine handle an event, or its timer, and then its group.
func (l *loop) drive(now time.Time, r *router, ev *Event) {
	from, ready := r.machine.state, r.machine.ready
	if ev == nil {
		l.perform(r, r.machine.Advance(now))
	} else {
		l.perform(r, r.machine.Step(now, *ev))
	}
	if r.group != nil && (r.machine.state != from || r.machine.ready != ready) {
		l.move(now, r, from)
	}
}

// perform collects what a machine wants done, for flush.
func (l *loop) perform(r *router, actions []Action) {
	for i := range actions {
		switch a := &actions[i]; a.Kind {
		case ActionSend:
			if len(r.link.outOf) == 0 && len(r.link.outToOf) == 0 {
				l.sending = append(l.sending, r.link)
			}
			r.link.enqueue(r, a.Outgoing)
		case ActionTransition:
			l.transitions = append(l.transitions, a.Transition)
			if a.Transition.From != a.Transition.To {
				r.entered[a.Transition.To]++
			}
			l.sweep = l.sweep || a.Transition.To == Init
		}
	}
	l.timers.schedule(r)
}

// flush sends what this turn collected, one batch per interface, and then
// reports the transitions; again, if that let another router start.
func (l *loop) flush() {
	for len(l.sending) > 0 || len(l.transitions) > 0 || l.sweep {
		for _, k := range l.sending {
			l.send(k)
		}
		l.sending = l.sending[:0]
		for i := range l.transitions {
			t := &l.transitions[i]
			l.log.Info("VRRP transition", "router", t.Router, "from", t.From.String(), "to", t.To.String(),
				"reason", string(t.Reason), "master", t.Master)
			l.sink(*t)
		}
		l.transitions = l.transitions[:0]
		if l.sweep {
			l.sweep = false
			l.settle(time.Now())
		}
	}
}

// send hands the adverts of a link to its port.
func (l *loop) send(k *link) {
	if k.port != nil {
		l.sendAll(k, k.outOf, func(i int) (int, error) { return k.port.Send(k.source, k.out[i:]) })
		l.sendAll(k, k.outToOf, func(i int) (int, error) { return k.port.SendTo(k.source, k.outTo[i:]) })
	}
	k.out, k.outOf, k.outTo, k.outToOf = k.out[:0], k.outOf[:0], k.outTo[:0], k.outToOf[:0]
}

// sendAll sends one message for each of the routers, which may be named more than
// once. One that cannot be sent does not keep the others.
func (l *loop) sendAll(k *link, of []*router, send func(i int) (int, error)) {
	for _, r := range of {
		r.sendFailed = false
	}
	for i := 0; i < len(of); {
		n, err := send(i)
		for _, r := range of[i : i+n] {
			r.sent++
		}
		if i += n; err == nil || i == len(of) {
			continue
		}
		r := of[i]
		if r.sendProblem == "" {
			l.log.Warn("sending an advert", "router", r.cfg.Name, "interface", k.name, "error", err)
		}
		r.sendProblem, r.sendFailed = err.Error(), true
		k.keeper.nudge()
		i++
	}
	for _, r := range of {
		if !r.sendFailed {
			r.sendProblem = ""
		}
	}
}
