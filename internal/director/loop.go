package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/checker"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/internal/speaker"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

// stopSlack is added to the bound of the hand-over when the node stops.
const stopSlack = time.Second

// loop is the one goroutine that owns the director's state.
func (d *Director) loop(ctx context.Context, orphaned <-chan struct{}, reload <-chan os.Signal, ended <-chan error) error {
	asked := ctx.Done()
	var bound, yielded, muted, undecided <-chan time.Time
	stop := func() {
		if d.stopping {
			return
		}
		asked, orphaned, reload = nil, nil, nil
		d.stopping = true
		d.send(d.Speaker, speaker.KindShutdown, "", struct{}{})
		bound = time.After(handoverBound(Routers(d.effective())) + yieldBound + stopSlack)
	}
	converse := time.NewTicker(tellEvery)
	defer converse.Stop()
	d.tellPeers(time.Now())
	watch := time.NewTimer(0)
	defer watch.Stop()
	fromChecker, fromSupervisor := d.Checker.Receive(), d.Supervisor.Receive()
	for {
		if at, any := d.nextWatch(); any {
			watch.Reset(time.Until(at))
		}
		if d.handedOver && !d.yielding() {
			return d.finish()
		}
		if yielded == nil && d.yielding() {
			yielded = time.After(yieldBound)
		}
		if at, any := d.nextMuted(); muted == nil && any {
			muted = time.After(time.Until(at))
		}
		if undecided == nil && d.undecided() {
			undecided = time.After(decideEvery)
		}
		d.settle(len(fromChecker) == 0)
		select {
		case <-asked:
			d.Log.Info("stopping: handing over")
			d.happened(journal.Event{Kind: journal.KindStop, Subject: d.config.Node, To: "stopping", Reason: "asked to"})
			stop()
		case <-orphaned:
			d.Log.Error("the supervisor is gone: handing over and stopping")
			d.happened(journal.Event{Kind: journal.KindStop, Subject: d.config.Node, To: "stopping", Reason: "the supervisor is gone"})
			stop()
		case <-yielded:
			// Those that began to yield after the timer get another turn of it.
			yielded = nil
			d.letGo(func(_ string, role Role) bool { return time.Since(role.Gave) >= yieldBound })
		case now := <-muted:
			muted = nil
			d.letGo(func(_ string, role Role) bool { return !role.Muted.IsZero() && now.Sub(role.Muted) >= muteLinger })
		case <-undecided:
			undecided = nil
			d.decide(time.Now())
		case <-converse.C:
			d.tellPeers(time.Now())
		case datagram := <-d.peers.heard:
			d.heardPeer(time.Now(), datagram)
		case <-d.again:
			d.update()
		case r := <-d.drainNews:
			d.counted(r, time.Now())
		case now := <-watch.C:
			d.watchRivals(now)
		case c := <-d.heardClaims:
			d.claimed(c)
		case <-bound:
			d.Log.Error("the speaker did not hand over in time")
			return d.finish()
		case <-reload:
			// The file is read off the loop: a disk may be slow.
			go func() {
				bySignal := control.WithCaller(ctx, func() control.Caller { return control.Caller{User: "SIGHUP"} })
				if _, err := d.Reload(bySignal); err != nil {
					d.Log.Error("reloading", "error", err)
				}
			}()
		case err := <-ended:
			// A crash, not a stop: the speaker goes on, and the next director adopts.
			return errors.Join(errors.New("a part of the director ended by itself"), err)
		case command := <-d.commands:
			command()
		case <-d.linkNews.wake:
			d.takeLinks()
		// The supervisor holds the other ends too: a link ends only after it.
		case m, ok := <-d.Speaker.Receive():
			if !ok {
				return errors.Join(fmt.Errorf("receiving from the speaker: %w", process.ErrClosed), d.finish())
			}
			d.hear(m)
		case m, ok := <-fromChecker:
			if !ok {
				fromChecker = nil
				stop()
				continue
			}
			d.refused("checker", m, d.fromChecker(m))
		case m, ok := <-fromSupervisor:
			if !ok {
				fromSupervisor = nil
				stop()
				continue
			}
			d.refused("supervisor", m, d.fromSupervisor(m))
		}
	}
}

// do runs a function on the loop and waits for it. After the loop's end it
// returns the error of ctx.
func (d *Director) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case d.commands <- func() { defer close(done); f() }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Director) fromSpeaker(m process.Message) error {
	switch m.Kind {
	case process.KindHello:
		var hello process.Hello
		if err := m.Decode(&hello); err != nil {
			return err
		}
		// It knows nothing yet: it shall go on where the one that died was.
		d.configureSpeaker(d.resume(hello))
		d.update()
	case speaker.KindTransition:
		var t vrrp.Transition
		if err := m.Decode(&t); err != nil {
			return err
		}
		d.note(t)
	case speaker.KindState:
		var s speaker.State
		if err := m.Decode(&s); err != nil {
			return err
		}
		d.adopt(s)
		d.update()
	case speaker.KindStatus:
		var s speaker.State
		if err := m.Decode(&s); err != nil {
			return err
		}
		if waiter, ok := d.requests[s.ID]; ok {
			delete(d.requests, s.ID)
			waiter <- s
		}
	case speaker.KindStopped:
		d.handedOver = true
	default:
		return errUnknownKind
	}
	return nil
}

func (d *Director) fromChecker(m process.Message) error {
	switch m.Kind {
	case process.KindHello:
		d.configureChecker()
	case checker.KindVerdict:
		var v healthcheck.Verdict
		if err := m.Decode(&v); err != nil {
			return err
		}
		d.verdict(v)
	case checker.KindVerdicts:
		var all checker.Verdicts
		if err := m.Decode(&all); err != nil {
			return err
		}
		for _, v := range all.Verdicts {
			d.verdict(v)
		}
	case checker.KindDigest:
		var digest healthcheck.Digest
		if err := m.Decode(&digest); err != nil {
			return err
		}
		digest.Confirm(d.health)
	case checker.KindHistory:
		var h checker.History
		if err := m.Decode(&h); err != nil {
			return err
		}
		if waiter, ok := d.histories[h.ID]; ok {
			delete(d.histories, h.ID)
			waiter <- h
		}
	default:
		return errUnknownKind
	}
	return nil
}

func (d *Director) fromSupervisor(m process.Message) error {
	if m.Kind != process.KindChildren {
		return errUnknownKind
	}
	before := d.children
	// Decoded anew: what is empty now must not stay.
	var now process.Children
	if err := m.Decode(&now); err != nil {
		return err
	}
	d.children = now
	d.childrenHappened(before, now)
	return nil
}

var errUnknownKind = errors.New("unknown kind")

func (d *Director) refused(from string, m process.Message, err error) {
	if err != nil {
		d.Log.Warn("message refused", "from", from, "kind", m.Kind, "error", err)
	}
}

func (d *Director) send(to process.Link, kind, key string, body any) {
	if err := to.Send(kind, key, body); err != nil {
		d.Log.Warn("telling another process", "kind", kind, "error", err)
	}
}

// heardTogether bounds how many messages of the speaker are taken note of before
// the host follows.
const heardTogether = 1024

// hear acts on a message of the speaker, and on those that are there with it:
// when a peer dies, hundreds of routers move at once, and the host follows them
// in one step.
func (d *Director) hear(m process.Message) {
	for range heardTogether {
		d.refused("speaker", m, d.fromSpeaker(m))
		select {
		case next, ok := <-d.Speaker.Receive():
			if m = next; ok {
				continue
			}
		default:
		}
		break // an end of the link is for the loop to see, again
	}
	d.follow()
}

// follow has the host follow the transitions that were noted.
func (d *Director) follow() {
	if !d.noted {
		return
	}
	moved, generation := d.moved, d.update()
	d.noted, d.moved = false, nil
	for _, m := range moved {
		d.tellRole(m.router, m.reason, generation)
	}
}

// move is a change of a role. Its reason is kept because news of the role that it led
// to may already be there.
type move struct {
	router string
	reason vrrp.Reason
}

// note takes note of what the speaker says of a router; follow has the host follow.
func (d *Director) note(t vrrp.Transition) {
	d.noted = true
	before := d.roles[t.Router]
	// A rival is no change of the role, unless what came before is not known here.
	if t.Reason != vrrp.ReasonRival || before.State != t.To {
		d.moved = append(d.moved, move{t.Router, t.Reason})
	}
	if t.Reason == vrrp.ReasonRival {
		t.From = before.State
	}
	role := Role{
		State: t.To, Master: t.Master, Since: t.At, Epoch: t.At, Reason: t.Reason, Interval: t.MasterInterval, Ceded: t.Ceded, Displaced: t.Displaced,
		Decided: before.Decided || decides(t.To, t.Master, t.Reason),
	}
	if t.From == t.To || t.Reason == vrrp.ReasonResumed && before.State == t.To {
		role.Since = before.Since // the same mastership goes on
	}
	if t.Reason == vrrp.ReasonResumed {
		role.Epoch = before.Epoch
	}
	if before.State == vrrp.Leaving || before.Yielding {
		role.Gave = before.Gave
	} else {
		role.Gave = time.Now()
	}
	if role.Yielding = d.yields(t, before); role.Yielding {
		role.Muted = before.Muted
		if role.Muted.IsZero() && d.moves(t.Router) && d.announcedByOther(t.Router, before) {
			role.Muted = time.Now()
		}
	}
	if t.To == vrrp.Master && t.From != vrrp.Master {
		d.dropLeaver(t.Router)
	}
	d.roles[t.Router] = role
	if t.Reason == vrrp.ReasonRival {
		d.reannounce(t)
	}
	d.transitionHappened(t)
	d.noteRival(t)
	d.Log.Debug("vrrp", "router", t.Router, "from", t.From, "to", t.To, "reason", string(t.Reason), "master", t.Master)
}

// reannounce has the addresses of a router's group announced again: whoever was
// master beside one member was so beside all of them.
func (d *Director) reannounce(t vrrp.Transition) {
	v := d.index().router(t.Router)
	if v == nil {
		return
	}
	for _, name := range d.index().groups[v.Group] {
		if role := d.roles[name]; role.State == vrrp.Master {
			role.Epoch = t.At
			d.roles[name] = role
		}
	}
}

// decides reports whether a state says who is the master.
func decides(state vrrp.State, master netip.Addr, reason vrrp.Reason) bool {
	switch state {
	case vrrp.Master, vrrp.Leaving:
		return true
	case vrrp.Backup:
		return master.IsValid()
	}
	return reason != vrrp.ReasonStart && reason != ""
}

func (d *Director) verdict(v healthcheck.Verdict) {
	if !d.probes.has(v.ID) {
		return // it was on its way when the configuration changed
	}
	before := d.health[v.ID]
	d.health[v.ID] = v
	if v.Status == healthcheck.Up && before.Status != v.Status {
		d.risen[v.ID] = v.Since
	}
	number := d.noteNumber(v)
	if before.Status == v.Status {
		if number || before.Share != v.Share {
			d.unsettle()
		}
		return
	}
	d.happened(journal.Event{
		At: v.Since, Kind: journal.KindHealth, Subject: v.ID, From: statusText(before.Status), To: statusText(v.Status),
		Reason: string(v.Reason), Detail: v.Detail,
	})
	d.Log.Info("health", "target", v.ID, "services", d.probes.users[v.ID], "from", before.Status, "to", v.Status, "reason", string(v.Reason), "detail", v.Detail)
	d.unsettle()
}

// settleWithin bounds how long judgements wait for others that come with them.
const settleWithin = 5 * time.Millisecond

// unsettle notes that the desired state has to be computed anew: once for all the
// judgements that wait in the link, as there may be as many as real servers.
func (d *Director) unsettle() {
	if d.unsettled.IsZero() {
		d.unsettled = time.Now()
	}
}

// settle does so if there is nothing more to come, or others have waited enough.
func (d *Director) settle(all bool) {
	if !d.unsettled.IsZero() && (all || time.Since(d.unsettled) >= settleWithin) {
		d.update()
	}
}

// reportPools logs which pools are doing otherwise than before, and writes it down
// unless one that was not judged yet is well.
func (d *Director) reportPools(c *config.Config, pools map[ipvsctl.ServiceKey]Pool) {
	for _, s := range c.Services {
		for _, listen := range s.Listen {
			key := serviceKey(s, listen)
			if before, now := d.pools[key], pools[key]; before.State != now.State {
				d.Log.Info("pool", "service", s.Name, "listen", listen, "from", before.State, "to", now.State,
					"up", hundredths(now.Up), "of", hundredths(now.All), "quorum", s.Pool.Quorum)
				d.poolHappened(s.Name, listen, before, now)
			}
		}
	}
}

// update computes the desired state and hands it to the applier.
func (d *Director) update() uint64 {
	d.unsettled = time.Time{}
	d.generation++
	close(d.rolesChanged)
	d.rolesChanged = make(chan struct{})
	leavers := len(d.retired)
	effective := d.effective()
	if len(d.retired) < leavers {
		d.configureChecker()
	}
	configured := make(map[ipvsctl.ServiceKey]bool, len(effective.Services))
	for _, s := range effective.Services {
		for _, listen := range s.Listen {
			configured[serviceKey(s, listen)] = true
		}
	}
	for _, way := range d.probes.paths {
		configured[way.Key] = true
	}
	now := time.Now()
	desired := d.desire(effective, now)
	for _, p := range d.leaving {
		configured[p.Service.Key] = true
	}
	d.reportPools(effective, desired.Pools)
	d.table, d.pools, d.again = desired.Table, desired.Pools, nil
	next := d.stand(now)
	if !desired.Next.IsZero() {
		next = earlier(next, desired.Next)
	}
	if !next.IsZero() {
		d.again = time.After(next.Sub(now))
	}
	d.applier.set(work{
		desired:    desired,
		configured: configured,
		sync:       d.syncDaemons(),
		sysctls:    Sysctls(d.config),
		timeouts:   timeouts(d.config),
		generation: d.generation,
	})
	return d.generation
}
