package healthcheck

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

const (
	// concurrency bounds the goroutines of checks that run at a time, and with them
	// descriptors and stacks. Targets that do not answer hold a place until their
	// timeout.
	concurrency = 1024
	// connectBatch is how many connections are begun between two looks at which
	// stand.
	connectBatch = 64
)

// Runner checks a set of targets, each at its own pace. One goroutine owns all
// state. It makes the plain connect checks itself; each other check runs on a
// goroutine of its own.
type Runner struct {
	sink    func(Verdict)
	log     *slog.Logger
	warned  map[string]Reason             // the loop's: what was logged, by ID
	made    checkerCache                  // the loop's
	prepare func(Target) (Checker, error) // of made
	isLight func(Target) bool             // a connector can check the target
	connect *connector                    // the loop's; nil before it is needed
	digests func(Digest)
	told    time.Time // the loop's: the last digest

	results chan report
	asks    chan func(*board)
	wake    chan struct{}

	mu      sync.Mutex
	pending *assignment // what Set left for the loop to take
}

type assignment struct {
	targets []Target
	known   map[string]Verdict
}

// report is what a check's goroutine tells the loop.
type report struct {
	entry  *entry
	run    uint64
	result Result
	took   time.Duration
}

// NewRunner returns a Runner without targets. sink is called on the Runner's
// loop and must not block. It gets a verdict at once when the first check of a
// target ends and when the status changes, otherwise at most once a second and
// target.
func NewRunner(sink func(Verdict), log *slog.Logger) *Runner {
	made := checkerCache{}
	return &Runner{
		sink: sink, log: log, warned: map[string]Reason{}, made: made, prepare: made.prepare, isLight: connects,
		results: make(chan report, 64),
		asks:    make(chan func(*board)),
		wake:    make(chan struct{}, 1),
	}
}

// Extend lets targets have types that are not this package's, each with what
// makes its Checker. It is called before Run.
func (r *Runner) Extend(types map[string]func(Options) (Checker, error)) {
	own := r.prepare
	r.prepare = func(t Target) (Checker, error) {
		build := types[t.Type]
		if build == nil {
			return own(t)
		}
		if err := t.validateTiming(); err != nil {
			return nil, err
		}
		return build(t.Options)
	}
}

// Digest has verdicts that a check has confirmed told together to tell, once a
// second at most, and no longer one by one to the sink. It is called before Run; tell
// is called on the Runner's loop and must not block.
func (r *Runner) Digest(tell func(Digest)) { r.digests = tell }

// Set makes targets the whole set. It never blocks, may be called at any time,
// also before Run, and leaves alone what has not changed:
//
//   - an equal target keeps its state and its place in time;
//   - other timing, thresholds or options keep the state;
//   - another type or address under the same ID begins anew, as unknown.
//
// known holds verdicts from before a restart, by ID. A target that is new to
// this Runner starts from its known verdict, marked Known until its first
// result. A target that does not Validate is not checked; its verdict says why.
func (r *Runner) Set(targets []Target, known map[string]Verdict) {
	next := &assignment{targets: slices.Clone(targets), known: maps.Clone(known)}
	r.mu.Lock()
	if earlier := r.pending; earlier != nil && earlier.known != nil {
		maps.Copy(earlier.known, next.known)
		next.known = earlier.known
	}
	r.pending = next
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Snapshot returns the verdicts of all targets, sorted by ID. It waits for the
// loop, until ctx ends.
func (r *Runner) Snapshot(ctx context.Context) (verdicts []Verdict, err error) {
	err = r.ask(ctx, func(b *board) { verdicts = b.verdicts() })
	return verdicts, err
}

// History returns the recent results of targets, by ID, the newest last. It waits
// for the loop, until ctx ends.
func (r *Runner) History(ctx context.Context, ids []string) (records map[string][]Record, err error) {
	records = make(map[string][]Record, len(ids))
	err = r.ask(ctx, func(b *board) {
		for _, id := range ids {
			if e := b.entries[id]; e != nil {
				records[id] = slices.Clone([]Record(e.history))
			}
		}
	})
	return records, err
}

// ask runs a question on the loop.
func (r *Runner) ask(ctx context.Context, question func(*board)) error {
	done := make(chan struct{})
	select {
	case r.asks <- func(b *board) { defer close(done); question(b) }:
		<-done
		return nil
	case <-ctx.Done():
		return fmt.Errorf("asking the health checks: %w", ctx.Err())
	}
}

// Run checks until ctx ends, then ends the checks in flight and returns nil. It
// is called once.
func (r *Runner) Run(ctx context.Context) error {
	seed := uint64(time.Now().UnixNano())
	board := newBoard(time.Now(), concurrency, rand.New(rand.NewPCG(seed, seed)), r.prepare)
	board.isLight, board.light.limit, board.digests = r.isLight, connectLimit(), r.digests != nil
	defer func() { r.connect.close() }()
	stopped := make(chan struct{})
	defer close(stopped)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		// What has ended comes first: if this loop is late, no server is.
		r.connected(board)
		start, verdicts := board.advance(time.Now())
		r.publish(verdicts)
		for i, e := range start {
			r.start(ctx, board, e, stopped)
			if i%connectBatch == connectBatch-1 {
				r.connected(board)
			}
		}
		r.connected(board)
		r.connect.wake()
		if next, ok := r.tell(board, time.Now()); ok {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			r.drain(board)
			return nil
		case <-r.wake:
			r.publish(r.take(board))
		case rep := <-r.results:
			r.publish(board.finish(nil, time.Now(), rep.entry, rep.run, rep.result, rep.took))
		case question := <-r.asks:
			question(board)
		case <-r.connect.ready():
			r.connect.woken()
		case <-timer.C:
		}
	}
}

// tell gives out a digest when it is time, and returns when there is something to do
// next.
func (r *Runner) tell(b *board, now time.Time) (time.Time, bool) {
	next, ok := b.deadline()
	if len(b.confirmed) == 0 {
		return next, ok
	}
	due := r.told.Add(refreshEvery)
	if due.After(now) {
		if !ok || due.Before(next) {
			next = due
		}
		return next, true
	}
	r.told = now
	r.digests(b.digest())
	return next, ok
}

// take brings what Set left onto the board.
func (r *Runner) take(b *board) []Verdict {
	r.mu.Lock()
	next := r.pending
	r.pending = nil
	r.mu.Unlock()
	if next == nil {
		return nil
	}
	verdicts := b.set(time.Now(), next.targets, next.known)
	r.made.keep(next.targets)
	maps.DeleteFunc(r.warned, func(id string, _ Reason) bool { return b.entries[id] == nil })
	return verdicts
}

func (r *Runner) publish(verdicts []Verdict) {
	for _, v := range verdicts {
		r.warn(v)
		r.sink(v)
	}
}

// warn logs what asks for attention, once for each target and reason.
func (r *Runner) warn(v Verdict) {
	switch {
	case !v.Warning:
		delete(r.warned, v.ID)
	case r.warned[v.ID] != v.Reason:
		r.warned[v.ID] = v.Reason
		r.log.Warn("health check", "target", v.ID, "reason", string(v.Reason), "detail", v.Detail)
	}
}

// start has the check of e made by the connector, or else on a goroutine that ends
// with the check.
func (r *Runner) start(ctx context.Context, b *board, e *entry, stopped <-chan struct{}) {
	if e.lane == &b.light {
		r.startLight(b, e)
		return
	}
	check, target, run := e.check, e.target, e.run
	ctx, cancel := context.WithTimeout(ctx, target.Timeout)
	e.cancel = cancel
	go func() {
		defer cancel()
		begun := time.Now()
		result := r.guarded(ctx, begun, check, target)
		select {
		case r.results <- report{entry: e, run: run, result: result, took: time.Since(begun)}:
		case <-stopped:
		}
	}()
}

// startLight has the connector make the check of e.
func (r *Runner) startLight(b *board, e *entry) {
	var result Result
	if r.connect == nil {
		var err error
		if r.connect, err = newConnector(); err != nil {
			result = connectResult(err)
		}
	}
	if r.connect != nil {
		var under bool
		if under, result = r.connect.begin(time.Now(), e); under {
			e.cancel = func() { r.connect.end(e) }
			return
		}
	}
	r.publish(b.finish(nil, time.Now(), e, e.run, result, 0))
}

// connected takes the results of the connector.
func (r *Runner) connected(b *board) {
	r.connect.each(func(e *entry, begun time.Time, result Result) {
		now := time.Now()
		r.publish(b.finish(nil, now, e, e.run, result, now.Sub(begun)))
	})
}

// guarded makes one check; a checker that panics takes no other check along.
func (r *Runner) guarded(ctx context.Context, now time.Time, check Checker, t Target) (result Result) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("checker panicked", "target", t.ID, "type", t.Type, "panic", p, "stack", string(debug.Stack()))
			result = Result{Outcome: Inconclusive, Reason: ReasonPanic, Detail: fmt.Sprint(p)}
		}
	}()
	return check(ctx, now, t)
}

// drain waits for the checks in flight, whose contexts have ended, but not for
// one that ignores its context.
func (r *Runner) drain(b *board) {
	bound := time.NewTimer(abandonAfter)
	defer bound.Stop()
	for b.heavy.running > 0 {
		select {
		case rep := <-r.results:
			b.finish(nil, time.Now(), rep.entry, rep.run, rep.result, rep.took)
		case <-bound.C:
			r.log.Warn("checks do not end", "count", b.heavy.running)
			return
		}
	}
}
