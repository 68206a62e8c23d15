package director

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/vrrp"
)

// questions is how many addresses are asked for at once.
const questions = 8

// noteRival takes note of what a role says of a second master.
func (d *Director) noteRival(t vrrp.Transition) {
	now := time.Now()
	r := d.rivalOf(t.Router)
	if t.Reason == vrrp.ReasonRival && r.met(now, t.Master.String(), "adverts") {
		d.splitBrainBegan(t.Router, r)
	}
	d.splitBrainOver(t.Router, r, now)
}

// rivalOf returns what is known of a second master of a router, in the router's
// present role.
func (d *Director) rivalOf(router string) *rival {
	r := d.rivals[router]
	if r == nil {
		r = &rival{}
		d.rivals[router] = r
	}
	r.among = len(d.index().own)
	r.enter(d.roles[router], d.intervalOf(router))
	return r
}

func (d *Director) intervalOf(router string) time.Duration {
	if v := d.index().router(router); v != nil {
		return v.Interval
	}
	return time.Second
}

// suspect has the routers of an address ask who has it.
func (d *Director) suspect(address netip.Addr) {
	for _, v := range d.index().routers {
		for _, prefix := range v.Addresses {
			if r := d.rivals[v.Name]; r != nil && prefix.Addr() == address {
				r.claimed(time.Now())
			}
		}
	}
}

// nextWatch is when a router has something to ask, or a second master counts as
// gone; and false for never.
func (d *Director) nextWatch() (earliest time.Time, any bool) {
	for _, r := range d.rivals {
		if at, ok := r.next(); ok && (!any || at.Before(earliest)) {
			earliest, any = at, true
		}
	}
	return earliest, any
}

// watchRivals does what is due.
func (d *Director) watchRivals(now time.Time) {
	for i := range d.index().routers {
		v := &d.index().routers[i] // a copy for each that asks nothing would be garbage
		r := d.rivals[v.Name]
		if r == nil {
			continue
		}
		d.splitBrainOver(v.Name, r, now)
		if r.due.IsZero() || r.due.After(now) || len(v.Addresses) == 0 {
			continue
		}
		select {
		case d.asking <- struct{}{}:
		default:
			r.due = now.Add(shortestWait) // others are asking
			continue
		}
		r.ask()
		address, wait := v.Addresses[r.asked%len(v.Addresses)].Addr(), r.patience()
		d.parts.Go(func() {
			d.askWho(v, address, wait)
			<-d.asking
		})
	}
	for name, r := range d.rivals {
		if _, there := d.roles[name]; !there {
			d.splitBrainOver(name, r, now)
			delete(d.rivals, name)
		}
	}
}

// askWho asks the segment who else has an address, off the loop.
func (d *Director) askWho(v *config.VRRP, address netip.Addr, wait time.Duration) {
	who, err := d.Host.Claimant(d.background, v.Interface, address, wait)
	_ = d.do(d.background, func() {
		r := d.rivals[v.Name]
		if r == nil {
			return
		}
		if err != nil {
			d.Log.Debug("asking who has an address", "address", address, "error", err)
		}
		if r.answered(time.Now(), who) {
			d.splitBrainBegan(v.Name, r)
		}
	})
}

func (d *Director) splitBrainBegan(router string, r *rival) {
	d.Log.Error("split brain: another node is master too", "router", router, "with", r.with, "evidence", r.evidence)
	d.happened(journal.Event{
		At: r.since, Kind: journal.KindSplitBrain, Subject: router, To: "began", Reason: r.evidence, Detail: "with " + r.with,
	})
}

// splitBrainOver ends what is over. Who stays announces its addresses again:
// hosts may have learned the other's MAC address meanwhile.
func (d *Director) splitBrainOver(router string, r *rival, now time.Time) {
	began := r.since
	if !r.over(now) {
		return
	}
	role := d.roles[router]
	outcome := "this node gave way: " + string(role.Reason)
	if role.State == vrrp.Master {
		outcome = "this node stays master and announces its addresses again"
		role.Epoch = now
		d.roles[router] = role
		d.update()
	}
	d.Log.Warn("split brain is over", "router", router, "outcome", outcome)
	d.happened(journal.Event{
		At: now, Kind: journal.KindSplitBrain, Subject: router, To: "over", Reason: outcome,
		Detail: fmt.Sprintf("it lasted %v", now.Sub(began).Round(time.Millisecond)),
	})
}

// Claimer asks who else has an address.
type Claimer interface {
	// Claimant returns the hardware address of a station that says it has the
	// address, and nothing if none says so within the wait.
	Claimant(ctx context.Context, ifname string, address netip.Addr, wait time.Duration) (string, error)
}

// lateness converts the speaker's histogram.
func lateness(l vrrp.Lateness) *control.LatenessStatus {
	out := &control.LatenessStatus{Count: l.Count(), Sum: control.Of(l.Sum), Max: control.Of(l.Max), Last: control.Of(l.Last)}
	count := uint64(0)
	for i, bound := range vrrp.LatenessBounds() {
		count += l.Buckets[i]
		out.Buckets = append(out.Buckets, control.LatenessBucket{Bound: control.Of(bound), Count: count})
	}
	return out
}
