package director

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/internal/mark"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
)

const (
	// applyBound ends one application to a kernel that does not answer.
	applyBound = 30 * time.Second
	// retryAfter is the pause before what failed is tried again.
	retryAfter = time.Second
	// sweepEvery is how often the kernel is compared with what is desired, so
	// that changes which no event tells of are repaired too.
	sweepEvery = 10 * time.Second
	// opsLogged is how many changes of the IPVS table one application logs: a
	// takeover of many services has no time for more.
	opsLogged = 100
)

// work is what the applier shall bring about.
type work struct {
	desired    Desired
	configured map[ipvsctl.ServiceKey]bool // services that the configuration names
	sync       []ipvsctl.SyncDaemon
	sysctls    []netif.Sysctl
	timeouts   ipvsctl.Timeouts
	generation uint64
}

// Applied is the outcome of the newest application.
type Applied struct {
	Generation uint64
	At         time.Time
	Links      netif.VirtualLinkResult
	Addresses  netif.AddressResult
	// PutBack says how often within the last minute an address was put back that
	// another program had removed.
	PutBack map[netif.Address]int
	Routing netif.RoutingResult
	Table   ipvsctl.Result
	Sync    ipvsctl.SyncResult
	// Drift is the last time that somebody else had changed the IPVS table.
	Drift Drift
	// LinkErr, AddressErr, RoutingErr, TableErr and SyncErr are set where nothing could be
	// read or done, SysctlErr where kernel parameters are not as they should be, and
	// TimeoutErr where the timeouts of connections are not.
	LinkErr, AddressErr, RoutingErr, TableErr, MarkErr, SyncErr, SysctlErr, TimeoutErr error
}

// ok reports whether the host is as desired.
func (a *Applied) ok() bool {
	return a.Err() == nil
}

// Err returns all that went wrong as one error, nil if nothing did.
func (a *Applied) Err() error {
	return errors.Join(a.LinkErr, a.AddressErr, a.RoutingErr, a.TableErr, a.MarkErr, a.SyncErr, a.SysctlErr, a.TimeoutErr,
		a.Links.Err(), a.Addresses.Err(), a.Routing.Err(), a.Table.Err(), errors.Join(a.Sync.Failed...))
}

// applier has the host made as desired: one goroutine, one mailbox that keeps
// the latest work alone. A slow kernel delays it and nothing else.
type applier struct {
	host   Host
	record *record
	syncs  *syncRecord
	log    *slog.Logger
	// happened writes an event down; it does not block.
	happened func(journal.Event)

	mu      sync.Mutex
	pending *work         // guarded by mu
	applied Applied       // guarded by mu
	changed chan struct{} // guarded by mu; closed and replaced with each outcome
	wake    chan struct{}

	linked  bool // there may be links of ours; owned by run
	marking bool // there may be rules of ours that mark packets; owned by run

	epochs   map[arp.Target]time.Time // of what is announced; owned by run
	fights   fights                   // owned by run
	routed   bool                     // routes or rules of ours may be there; owned by run
	reported string                   // last failure logged; owned by run
	inForce  inForce                  // owned by run
	sweep    bool                     // everything is to be compared; owned by run
	sweeping time.Duration            // how long that took last; owned by run
	drift    Drift                    // owned by run
	sysctls  []netif.Sysctl           // that were set last; owned by run

	timeouts    ipvsctl.Timeouts // that were desired last; owned by run
	timeoutsSet bool             // they are in force; owned by run
}

func newApplier(host Host, record *record, syncs *syncRecord, log *slog.Logger, happened func(journal.Event)) *applier {
	return &applier{
		host: host, record: record, syncs: syncs, log: log, happened: happened, routed: true, linked: true, changed: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// set replaces the work to be done. It never blocks.
func (a *applier) set(w work) {
	a.mu.Lock()
	a.pending = &w
	a.mu.Unlock()
	a.kick()
}

// kick asks for a comparison with the kernel now.
func (a *applier) kick() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// outcome returns the newest outcome.
func (a *applier) outcome() Applied {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.applied
}

// wait blocks until the work of a generation, or a later one, was applied.
func (a *applier) wait(ctx context.Context, generation uint64) (Applied, error) {
	for {
		a.mu.Lock()
		outcome, changed := a.applied, a.changed
		a.mu.Unlock()
		if outcome.Generation >= generation {
			return outcome, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return outcome, ctx.Err()
		}
	}
}

// run applies until ctx ends.
func (a *applier) run(ctx context.Context) error {
	timer, watch := time.NewTimer(sweepEvery), time.NewTimer(driftEvery)
	defer timer.Stop()
	defer watch.Stop()
	var current work
	for {
		a.sweep = false
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		case <-timer.C:
			a.sweep = true
		case <-watch.C:
			changed, again := a.look(ctx)
			watch.Reset(again)
			if !changed {
				continue
			}
			a.sweep = true
		}
		a.mu.Lock()
		fresh := a.pending != nil
		if fresh {
			current, a.pending = *a.pending, nil
		}
		a.mu.Unlock()
		if current.generation == 0 {
			continue // nothing is desired yet: nothing is touched
		}
		if pause := a.fights.pause(time.Now()); pause > 0 && current.generation == a.applied.Generation {
			timer.Reset(pause)
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, applyBound)
		settled := a.inForce.valid && !fresh
		outcome := a.apply(bounded, current)
		cancel()
		if ctx.Err() != nil {
			return nil // half of an application says nothing
		}
		if settled && a.sweep {
			a.drifted(outcome.At, outcome.Table)
		}
		outcome.Drift = a.drift
		a.publish(outcome)
		if outcome.ok() {
			timer.Reset(max(0, time.Until(a.inForce.swept.Add(a.sweepEvery()))))
		} else {
			timer.Reset(retryAfter)
		}
	}
}

// apply follows the order of a takeover: IPVS entries, addresses, routes, links,
// announcements. A link with a virtual MAC address that is lowered comes first. What is lost is no longer announced before its address goes.
func (a *applier) apply(ctx context.Context, w work) Applied {
	out := Applied{Generation: w.generation}
	kept := maps.Clone(w.desired.Announce)
	maps.DeleteFunc(kept, func(t arp.Target, _ arp.Schedule) bool { _, announced := a.epochs[t]; return !announced })
	a.host.Announce(kept, false)

	a.host.SetAttributes(w.desired.Attributes)
	a.setLinks(ctx, w, &out)
	a.setAddressesAndTable(ctx, w, &out)
	back := a.fights.applied(time.Now(), w.desired.Addresses, out.Addresses)
	out.PutBack = a.fights.counts(time.Now())
	for _, address := range back {
		a.putBack(address, out.PutBack[address])
	}
	if a.routed || !w.desired.Routing.Empty() {
		out.Routing, out.RoutingErr = a.host.SetRouting(ctx, w.desired.Routing)
		a.routed = !w.desired.Routing.Empty() || out.RoutingErr != nil || len(out.Routing.Failed) > 0
	}
	a.raiseLinks(ctx, w, &out)
	a.announce(w.desired, out)
	out.Sync, out.SyncErr = a.setSync(ctx, w.sync)
	out.SysctlErr = a.keepSysctls(w)
	out.TimeoutErr = a.keepTimeouts(ctx, w)
	out.At = time.Now()
	return out
}

// setMarks has packets marked. Where no service is by mark, and none was, the kernel
// need not even have nftables.
func (a *applier) setMarks(ctx context.Context, rules []mark.Rule) error {
	if len(rules) == 0 && !a.marking {
		return nil
	}
	changed, err := a.host.SetMarks(ctx, rules)
	if changed {
		a.log.Info("firewall marks", "rules", len(rules))
	}
	a.marking = err != nil || len(rules) > 0
	return err
}

// announce announces the addresses that are there, anew where a mastership is.
func (a *applier) announce(d Desired, out Applied) {
	announced := maps.Clone(d.Announce)
	for _, f := range out.Addresses.Failed {
		delete(announced, arp.Target{Interface: f.Address.Interface, Address: f.Address.Prefix.Addr()})
	}
	for _, f := range out.Links.Failed {
		maps.DeleteFunc(announced, func(t arp.Target, _ arp.Schedule) bool { return t.Interface == f.Name })
	}
	if out.AddressErr != nil || out.LinkErr != nil {
		clear(announced) // whether they are there is not known
	}
	again := false
	epochs := make(map[arp.Target]time.Time, len(announced))
	for target := range announced {
		epochs[target] = d.Epochs[target]
		if before, known := a.epochs[target]; known && !before.Equal(d.Epochs[target]) {
			again = true
		}
	}
	a.epochs = epochs
	a.host.Announce(announced, again)
}

func (a *applier) publish(outcome Applied) {
	ops := outcome.Table.Ops
	outcome.Table.Ops, outcome.Table.Live = nil, nil // they are large, and nobody's business any more
	a.mu.Lock()
	a.applied = outcome
	close(a.changed)
	a.changed = make(chan struct{})
	a.mu.Unlock()
	for _, what := range outcome.Links.Changed {
		a.log.Info("virtual interface", "change", what)
	}
	for _, what := range outcome.Routing.Added {
		a.log.Info("routing", "added", what)
	}
	for _, what := range outcome.Routing.Removed {
		a.log.Info("routing", "removed", what)
	}
	for _, op := range ops[:min(opsLogged, len(ops))] {
		a.log.Info("ipvs", "op", op.String())
	}
	if more := len(ops) - opsLogged; more > 0 {
		a.log.Info("ipvs", "more_operations", more)
	}
	a.report(outcome)
}

// report logs failures once until they change.
func (a *applier) report(outcome Applied) {
	text := ""
	if err := outcome.Err(); err != nil {
		text = err.Error()
	}
	if text != "" && text != a.reported {
		a.log.Error("the host is not as desired; trying again", "error", text)
	}
	if text == "" && a.reported != "" {
		a.log.Info("the host is as desired again")
	}
	a.reported = text
}
