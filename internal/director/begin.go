package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/checker"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/internal/speaker"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

const (
	// helloBound is how long a starting director waits for its siblings to say
	// what they know. A sibling that says nothing has just started itself.
	helloBound = 2 * time.Second
	// finishBound is how long the last changes to the host may take.
	finishBound = 10 * time.Second
)

// begin finds out whether this director takes over from one that died or
// starts a node, and makes the first changes to the host. Taking over changes
// nothing; a start takes away addresses that a dead node left before it does
// anything else.
func (d *Director) begin(ctx context.Context) error {
	for _, link := range []process.Link{d.Supervisor, d.Speaker, d.Checker} {
		d.send(link, process.KindHello, "", process.NewHello())
	}
	takeover, resume := d.siblings(ctx)
	if !takeover {
		links, err := takeLinksAway(ctx, d.Host)
		if err != nil {
			return err
		}
		for _, what := range links {
			d.Log.Warn("took away what a dead node left", "virtual_interface", what)
		}
		result, err := d.Host.SetAddresses(ctx, nil)
		if err != nil {
			return fmt.Errorf("taking away addresses that were left: %w", err)
		}
		for _, a := range result.Removed {
			d.Log.Warn("took away an address that a dead node left", "address", a.String())
		}
		for _, f := range result.Failed {
			return fmt.Errorf("taking away addresses that were left: %w", f)
		}
		left, err := d.Host.SetRouting(ctx, netif.Routing{})
		if err = errors.Join(err, left.Err()); err != nil {
			return fmt.Errorf("taking away routes that were left: %w", err)
		}
	}
	if !takeover {
		d.recallBelief()
	}
	if len(d.config.Services) > 0 {
		live, err := d.Host.Table(ctx)
		if err != nil {
			return err
		}
		d.adoptPool(live, d.config.Services)
		d.resumeRamps(live, time.Now())
	}
	if err := d.Host.SetSysctls(Sysctls(d.config)); err != nil {
		if !takeover {
			return err
		}
		// An interface may be gone: that must not end a node that is at work.
		d.Log.Error("setting kernel parameters", "error", err)
	}
	d.Log.Info("directing", "node", d.config.Node, "takes_over", takeover, "routers", len(d.config.VRRP), "services", len(d.config.Services))
	d.happened(journal.Event{Kind: journal.KindStart, Subject: d.config.Node, To: startedAs(takeover), Detail: "haldir " + d.Release})
	d.probes = NewProbes(d.effective())
	d.keepInForce()
	d.dropOverrides()
	if takeover {
		if err := statefile.Load(d.leavingPath(), &d.leaving); err != nil {
			d.Log.Warn("reading which servers leave; their connections are cut", "error", err)
		}
	} else {
		d.setLeaving(nil)
	}
	d.listenForClaims()
	d.update()
	d.configureSpeaker(resume)
	d.configureChecker()
	d.configureNotifier(nil)
	return nil
}

// siblings waits for what speaker and checker know. It reports whether the
// speaker was already at work, so that this director takes over, and where the
// speaker shall go on if it has died since.
func (d *Director) siblings(ctx context.Context) (takeover bool, resume map[string]vrrp.Resume) {
	bound := time.NewTimer(helloBound)
	defer bound.Stop()
	fromSpeaker, fromChecker, fromSupervisor := d.Speaker.Receive(), d.Checker.Receive(), d.Supervisor.Receive()
	speakerKnown, checkerKnown := false, false
	for !speakerKnown || !checkerKnown {
		select {
		case <-ctx.Done():
			return takeover, resume
		case <-bound.C:
			d.Log.Warn("starting without word from all siblings", "speaker", speakerKnown, "checker", checkerKnown)
			return takeover, resume
		// The loop deals with a link that has ended.
		case m, ok := <-fromSpeaker:
			var s speaker.State
			var t vrrp.Transition
			var hello process.Hello
			switch {
			case !ok:
				fromSpeaker = nil
			case m.Kind == speaker.KindState && m.Decode(&s) == nil:
				speakerKnown, takeover = true, s.Configured
				d.adopt(s)
			// What came before the state is in it, what comes after it is news.
			case speakerKnown && m.Kind == speaker.KindTransition && m.Decode(&t) == nil:
				d.note(t)
			case speakerKnown && m.Kind == process.KindHello && m.Decode(&hello) == nil:
				resume = d.resume(hello)
			}
		case m, ok := <-fromChecker:
			var all checker.Verdicts
			var v healthcheck.Verdict
			switch {
			case !ok:
				fromChecker = nil
			case m.Kind == checker.KindVerdicts && m.Decode(&all) == nil:
				checkerKnown = true
				maps.Copy(d.health, all.Verdicts)
			case m.Kind == checker.KindVerdict && m.Decode(&v) == nil:
				d.health[v.ID] = v
			}
		case m, ok := <-fromSupervisor:
			if !ok {
				fromSupervisor = nil
				continue
			}
			d.refused("supervisor", m, d.fromSupervisor(m))
		}
	}
	return takeover, resume
}

// adoptPool counts real servers of services that the kernel has in the pool and nobody has
// judged yet as up, so that a restart or a reload takes nobody out.
func (d *Director) adoptPool(live ipvsctl.LiveTable, services []config.Service) {
	now := time.Now()
	probes := NewProbes(d.config)
	for _, s := range services {
		for _, listen := range s.Listen {
			service, ok := live.Find(serviceKey(s, listen))
			if !ok {
				continue
			}
			for _, real := range s.At(listen).Real {
				if !hasDest(service, destKey(real, listen)) {
					continue
				}
				for _, t := range probes.of(s, real, listen) {
					if v, _ := believed(t, d.health); v.Status == "" {
						d.health[t.ID] = healthcheck.Verdict{
							ID: t.ID, Status: healthcheck.Up, Known: true, Since: now, Detail: "was in the kernel's table",
						}
					}
				}
			}
		}
	}
}

func hasDest(s ipvsctl.LiveService, key ipvsctl.DestKey) bool {
	for _, dest := range s.Dests {
		if dest.Key == key {
			return true
		}
	}
	return false
}

// configureChecker has what is configured checked.
func (d *Director) configureChecker() {
	d.takeProbes()
	d.tellChecker()
}

// takeProbes derives what is to be checked, and what is known of it.
func (d *Director) takeProbes() {
	d.probes = NewProbes(d.effective())
	known := make(map[string]healthcheck.Verdict, len(d.probes.targets))
	for _, t := range d.probes.targets {
		if v, ok := believed(t, d.health); ok {
			known[t.ID] = v
			d.noteNumber(v)
		}
	}
	d.health = known
	maps.DeleteFunc(d.numbers, func(id string, _ int) bool { return !d.probes.has(id) })
	maps.DeleteFunc(d.risen, func(id string, _ time.Time) bool { return !d.probes.has(id) })
}

// tellChecker tells the checker what to check, and what is known of it.
func (d *Director) tellChecker() {
	d.send(d.Checker, checker.KindTargets, "", checker.Targets{Targets: d.probes.targets, Known: d.health})
}

// finish takes away what is ours after the hand-over.
func (d *Director) finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), finishBound)
	defer cancel()
	d.stopRoles()
	outcome, err := d.applier.wait(ctx, d.update())
	if err == nil && len(d.syncDaemons()) > 0 {
		// What the kernel has not told yet would be lost with its daemon.
		time.Sleep(syncFlush)
		d.finished = true
		outcome, err = d.applier.wait(ctx, d.update())
	}
	if err != nil {
		err = fmt.Errorf("waiting for the kernel to let go of addresses and services: %w", err)
	}
	return errors.Join(err, outcome.Err())
}

// tidy undoes the rest once nobody applies anything any more.
func (d *Director) tidy() error {
	ctx, cancel := context.WithTimeout(context.Background(), kernelBound)
	defer cancel()
	return errors.Join(d.Host.RestoreSysctls(), restoreTimeouts(ctx, d.RunDir, d.Host), d.applier.record.remove(), statefile.Remove(willPath(d.RunDir)), statefile.Remove(d.inForcePath()))
}
