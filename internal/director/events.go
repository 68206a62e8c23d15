package director

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/vrrp"
)

const (
	// recallBound is how long a request waits for the events of before.
	recallBound = 2 * time.Second
	// flushBound is how long the end waits for the disk of the journal.
	flushBound = 2 * time.Second
)

// eventsPath is the newest file of the journal.
func eventsPath(stateDir string) string { return filepath.Join(stateDir, "events.jsonl") }

// happened writes an event down; it never blocks, and any goroutine may call it.
func (d *Director) happened(e journal.Event) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	d.journal.Add(e)
}

// Events implements control.Backend.
func (d *Director) Events(ctx context.Context, request control.EventsRequest) (control.EventsResult, error) {
	recall := time.NewTimer(recallBound)
	defer recall.Stop()
	select {
	case <-d.journal.Recalled():
	case <-recall.C:
	case <-ctx.Done():
		return control.EventsResult{}, ctx.Err()
	}
	wait := time.NewTimer(request.Wait)
	defer wait.Stop()
	for {
		events, changed := d.journal.After(request.After, request.Since)
		if events == nil {
			events = []journal.Event{}
		}
		if len(events) > 0 || request.Wait == 0 {
			return control.EventsResult{Events: events}, nil
		}
		select {
		case <-changed:
		case <-wait.C:
			return control.EventsResult{Events: events}, nil
		case <-ctx.Done():
			return control.EventsResult{}, ctx.Err()
		}
	}
}

func (d *Director) transitionHappened(t vrrp.Transition) {
	if t.From == t.To {
		return
	}
	e := journal.Event{
		At: t.At, Kind: journal.KindTransition, Subject: t.Router, From: t.From.String(), To: t.To.String(), Reason: string(t.Reason),
	}
	if t.Master.IsValid() && t.To != vrrp.Master {
		e.Detail = "master " + t.Master.String()
	}
	d.happened(e)
}

func (d *Director) poolHappened(service string, listen netip.AddrPort, before, now Pool) {
	quiet := func(s PoolState) bool { return s == "" || s == PoolUndecided }
	if quiet(now.State) || quiet(before.State) && now.State == PoolOK {
		return
	}
	e := journal.Event{
		Kind: journal.KindPool, Subject: service, From: string(before.State), To: string(now.State), Reason: listen.String(),
		Detail: fmt.Sprintf("weight %v of %v is up", hundredths(now.Up), hundredths(now.All)),
	}
	if quiet(before.State) {
		e.From = ""
	}
	d.happened(e)
}

// putBack writes down that another program took an address of ours away; not each
// time, where it goes on doing so.
func (a *applier) putBack(address netif.Address, times int) {
	a.log.Warn("put back an address that another program had removed", "address", address.String())
	if times > fightMost {
		return
	}
	a.happened(journal.Event{
		Kind: journal.KindAddress, Subject: address.Prefix.String(), To: "put back", Reason: "another program had removed it",
		Detail: fmt.Sprintf("from %s, %d within a minute", address.Interface, times),
	})
}

func orderHappened(order control.Order, by string) journal.Event {
	e := journal.Event{Kind: journal.KindOperator, Subject: order.Action, To: order.Service + " " + order.Real, Reason: order.Reason, By: by}
	if order.Action == "weight" {
		e.Detail = fmt.Sprintf("weight %d", order.Weight)
	}
	return e
}

func (d *Director) reloadHappened(result control.ReloadResult, by string) {
	e := journal.Event{At: result.At, Kind: journal.KindReload, To: "applied", By: by, Detail: fmt.Sprintf("%d changes", len(result.Changes))}
	if !result.Applied {
		e.To, e.Detail = "refused", result.Errors[0]
	}
	d.happened(e)
}

// childrenHappened writes down the deaths that are news.
func (d *Director) childrenHappened(before, now process.Children) {
	restarts := make(map[process.Role]int)
	for _, c := range before.Children {
		restarts[c.Role] = c.Restarts
	}
	for _, c := range now.Children {
		if known, there := restarts[c.Role]; there && c.Restarts > known {
			d.happened(journal.Event{
				At: c.Since, Kind: journal.KindProcess, Subject: string(c.Role), To: "restarted", Reason: c.LastExit,
				Detail: fmt.Sprintf("it was down for %v", c.Down.Round(time.Millisecond)),
			})
		}
	}
}

func startedAs(takeover bool) string {
	if takeover {
		return "taking over from a director that died"
	}
	return "started"
}
