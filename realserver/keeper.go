package realserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
)

const (
	// sweepEvery is how often is read what the kernel announces no change of:
	// sysctls and packet rules.
	sweepEvery = 500 * time.Millisecond
	// fullEvery is how often everything is read, events or not.
	fullEvery = 10 * time.Second
	// filesEvery is how often is looked whether the configuration has changed.
	filesEvery = time.Second
	// retryAfter is the pause before what did not succeed is tried again, and
	// between two repairs where somebody else works against them.
	retryAfter = 500 * time.Millisecond
	// lossSettles is how long an own address has to be gone before the host
	// stops being a real server for it: a renewed lease is no reason.
	lossSettles = 3 * time.Second
	// drainPoll is how often connections are counted while they end.
	drainPoll = 200 * time.Millisecond
)

// Keeper keeps this host what the configuration makes of it: it applies, repairs
// what others change, and follows the configuration and the host's own addresses.
type Keeper struct {
	Runner *Runner
	// Load reads and validates the configuration.
	Load func() (*config.Config, error)
	// Stamp returns a text that changes whenever the configuration's files do.
	Stamp func() (string, error)
	// Host reads the addresses of this host.
	Host func() (Host, error)
	// Watch calls changed, which does not block, whenever a link or an address of
	// this host changes, until ctx ends.
	Watch func(ctx context.Context, changed func()) error
	// Leave leaves the host as it is when Run ends.
	Leave bool
	// Drain is how long Run waits at its end for connections to the services to
	// end, at most; 0 is not at all.
	Drain time.Duration
	// Ready is called once the host is set up; Tell with each new summary for
	// people; Draining before Run waits for connections. Reloading is called before
	// the configuration is read again, and Ready after that. Alive is called twice
	// a second, for as long as nothing hangs.
	Ready     func()
	Tell      func(string)
	Draining  func()
	Reloading func()
	Alive     func()
}

// keeping is the state of one Run.
type keeping struct {
	*Keeper
	config  *config.Config
	stamp   string
	state   State
	record  Record
	lost    time.Time // since when an own address is gone; zero if none is
	retry   time.Time // before which nothing is tried again
	full    time.Time // when everything was read last
	stamped time.Time // when the files were looked at last
}

// Run keeps until ctx ends; a value from reload reads the configuration again.
// Then it waits for connections to end and removes what it did, or leaves it, as
// the fields say. A configuration that is refused at the start, and a first
// application that fails, end it with the error; later ones are logged, shown in
// the Record, and tried again.
func (k *Keeper) Run(ctx context.Context, reload <-chan os.Signal) error {
	now := time.Now()
	run := &keeping{Keeper: k, record: Record{PID: os.Getpid(), Since: now}}
	if err := run.begin(ctx, now); err != nil {
		return err
	}
	run.Ready()

	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	changed := make(chan struct{}, 1)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		run.watch(watching, changed)
	}()
	defer func() {
		stopWatching()
		<-watched
	}()

	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return run.end(context.WithoutCancel(ctx), changed)
		case <-reload:
			run.reload(ctx, time.Now())
		case <-changed:
			run.check(ctx, time.Now(), true)
		case <-sweep.C:
			run.tick(ctx, time.Now())
			run.Alive()
		}
	}
}

// watch begins anew after a failure.
func (k *keeping) watch(ctx context.Context, changed chan<- struct{}) {
	note := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for ctx.Err() == nil {
		if err := k.Watch(ctx, note); err != nil {
			k.Runner.Log.Warn("watching links and addresses; beginning anew", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(retryAfter):
			}
		}
	}
}

func (k *keeping) begin(ctx context.Context, now time.Time) error {
	stamp, err := k.Stamp()
	if err != nil {
		return err
	}
	if k.config, err = k.Load(); err != nil {
		return err
	}
	k.stamp, k.stamped, k.record.Loaded = stamp, now, now
	host, err := k.Host()
	if err != nil {
		return err
	}
	state, err := k.desired(host)
	if err != nil {
		return err
	}
	if err := k.Runner.Apply(ctx, state); err != nil {
		return err
	}
	k.settled(state, now)
	return nil
}

// desired is the State for the host; one that no service names needs nothing.
func (k *keeping) desired(host Host) (State, error) {
	state, err := Desired(k.config, host)
	if errors.Is(err, ErrNoService) {
		k.record.Idle = err.Error()
		return State{}, nil
	}
	if err == nil {
		k.record.Idle = ""
	}
	return state, err
}

// tick does what is due by the clock.
func (k *keeping) tick(ctx context.Context, now time.Time) {
	if now.Sub(k.stamped) >= filesEvery {
		k.stamped = now
		// Files that cannot be looked at now are an edit that goes on.
		if stamp, err := k.Stamp(); err == nil && stamp != k.stamp {
			k.reload(ctx, now)
			return
		}
	}
	k.check(ctx, now, now.Sub(k.full) >= fullEvery || k.record.Problem != "" || !k.lost.IsZero())
}

// reload reads the configuration; one that is refused changes nothing.
func (k *keeping) reload(ctx context.Context, now time.Time) {
	k.Reloading()
	defer k.Ready()
	if stamp, err := k.Stamp(); err == nil {
		k.stamp = stamp
	}
	next, err := k.Load()
	if err != nil {
		k.Runner.Log.Error("the configuration is refused; the earlier one stays in force", "error", err)
		k.record.Refused, k.record.RefusedAt = err.Error(), now
		k.report()
		return
	}
	k.config, k.record.Loaded, k.record.Refused = next, now, ""
	k.Runner.Log.Info("configuration read", "services", len(next.Services))
	k.lost, k.retry = time.Time{}, time.Time{}
	k.follow(ctx, now, true)
}

// check brings the host back to what it should be. Not full means what the
// kernel announces no change of.
func (k *keeping) check(ctx context.Context, now time.Time, full bool) {
	if now.Before(k.retry) {
		return
	}
	if full {
		k.full = now
		if k.follow(ctx, now, false) {
			return
		}
	}
	findings, err := k.Runner.drift(ctx, k.state, full)
	if err != nil {
		k.failed(err, now)
		return
	}
	var wrong []Finding
	for _, f := range findings {
		if !f.OK {
			wrong = append(wrong, f)
			k.Runner.Log.Warn("not as it should be; repairing", "item", f.Item, "is", f.Got, "want", f.Want)
		}
	}
	if len(wrong) == 0 {
		if k.record.Problem != "" {
			k.settled(k.state, now)
		}
		return
	}
	if err := k.Runner.Apply(ctx, k.state); err != nil {
		k.failed(err, now)
		return
	}
	k.retry = now.Add(retryAfter)
	k.record.Repairs++
	k.record.Repaired, k.record.RepairedAt = fmt.Sprintf("%s was %s", wrong[0].Item, wrong[0].Got), now
	k.settled(k.state, now)
}

// follow applies what configuration and host ask for now, if that is something
// else than before. It reports whether it has done all there is to do.
func (k *keeping) follow(ctx context.Context, now time.Time, asked bool) bool {
	host, err := k.Host()
	if err != nil {
		k.failed(err, now)
		return true
	}
	next, err := k.desired(host)
	if err != nil {
		k.failed(err, now)
		return true
	}
	if !asked && k.gone(next, now) {
		return true // not for good, perhaps; what is there stays
	}
	if !asked && reflect.DeepEqual(next, k.state) {
		return false
	}
	if err := k.Runner.Apply(ctx, next); err != nil {
		k.state = next // what is to be reached
		k.failed(err, now)
		return true
	}
	k.settled(next, now)
	return true
}

// gone reports whether an own address was lost a moment ago.
func (k *keeping) gone(next State, now time.Time) bool {
	for _, own := range k.state.Own {
		if !slices.Contains(next.Own, own) {
			if k.lost.IsZero() {
				k.lost = now
				k.Runner.Log.Warn("an own address is gone; waiting whether it comes back", "address", own.Address, "interface", own.Interface)
			}
			return now.Sub(k.lost) < lossSettles
		}
	}
	k.lost = time.Time{}
	return false
}

func (k *keeping) settled(state State, now time.Time) {
	k.state, k.lost = state, time.Time{}
	k.record.Applied, k.record.Problem, k.record.Services = now, "", state.Services()
	k.report()
}

func (k *keeping) failed(err error, now time.Time) {
	k.retry = now.Add(retryAfter)
	if k.record.Problem == err.Error() {
		return
	}
	k.Runner.Log.Error("the host is not as it should be; trying again", "error", err)
	if k.record.Problem == "" {
		k.record.ProblemSince = now
	}
	k.record.Problem = err.Error()
	k.report()
}

// report writes the record and tells people.
func (k *keeping) report() {
	if err := k.record.save(k.Runner.StateDir); err != nil {
		k.Runner.Log.Warn("writing the state of the keeper for haldir realserver status", "error", err)
	}
	switch r := k.record; {
	case r.Problem != "":
		k.Tell("not as it should be: " + r.Problem)
	case r.Refused != "":
		k.Tell("the configuration is refused, the earlier one stays in force: " + r.Refused)
	case r.Idle != "":
		k.Tell(r.Idle)
	default:
		k.Tell("real server of " + strings.Join(r.Services, ", "))
	}
}

// end drains, if it is told to, and undoes.
func (k *keeping) end(ctx context.Context, changed <-chan struct{}) error {
	if k.Drain > 0 {
		k.drain(ctx, changed)
	}
	if k.Leave {
		k.Runner.Log.Info("stopped; the host stays a real server", "services", strings.Join(k.state.Services(), ", "))
		return nil
	}
	if err := k.Runner.Remove(ctx); err != nil {
		return err
	}
	return removeRecord(k.Runner.StateDir)
}

// drain waits for connections to end and goes on keeping until then.
func (k *keeping) drain(ctx context.Context, changed <-chan struct{}) {
	k.Draining()
	until := time.Now().Add(k.Drain)
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	reported := -1
	for now := time.Now(); ; now = time.Now() {
		all, err := k.Runner.Kernel.Connections(ctx)
		if err != nil {
			k.Runner.Log.Warn("counting connections; not waiting for them to end", "error", err)
			return
		}
		open := k.state.Connections(all)
		if open == 0 || !now.Before(until) {
			k.Runner.Log.Info("drained", "connections", open)
			return
		}
		if open != reported {
			k.Runner.Log.Info("waiting for connections to end", "connections", open, "at_most", until.Sub(now))
			k.Tell(fmt.Sprintf("draining: %d connections", open))
			reported = open
		}
		select {
		case <-changed:
		case <-poll.C:
		}
		k.check(ctx, time.Now(), true)
		k.Alive()
	}
}
