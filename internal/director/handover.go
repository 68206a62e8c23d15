package director

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/speaker"
	"github.com/haldir-lb/haldir/vrrp"
)

// operationSlack is added to the bound of the hand-overs that a request waits for.
const operationSlack = 5 * time.Second

// Failover implements control.Backend. Whether a peer takes over cannot be known
// before it was tried, since backups are silent. So it is tried, with the
// addresses still here, and a router that nobody takes stays master.
func (d *Director) Failover(ctx context.Context, request control.FailoverRequest) (control.FailoverResult, error) {
	result := control.FailoverResult{By: control.CallerOf(ctx), Handovers: []control.Handover{}}
	done, err := d.exclusively(ctx)
	if err != nil {
		return result, err
	}
	defer done()
	var masters []config.VRRP
	err = d.ask(ctx, func() error {
		var err error
		masters, result.Refused, err = d.toHandOver(request.Routers)
		return err
	})
	if err != nil || result.Refused != "" {
		return result, err
	}
	result.Handovers, err = d.handOver(ctx, masters)
	result.Done = handedOver(result.Handovers)
	outcome := "handed over"
	if !result.Done {
		outcome = "not handed over"
	}
	d.happened(journal.Event{
		Kind: journal.KindOperator, Subject: "failover", To: outcome, Detail: strings.Join(request.Routers, ", "), By: result.By.String(),
	})
	d.Log.Info("failover", "by", result.By.String(), "done", result.Done)
	return result, err
}

// exclusively waits until no other operation is under way.
func (d *Director) exclusively(ctx context.Context) (done func(), err error) {
	select {
	case d.operations <- struct{}{}:
		return func() { <-d.operations }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for another operation: %w", ctx.Err())
	}
}

// ask runs a function on the loop that may refuse.
func (d *Director) ask(ctx context.Context, f func() error) error {
	var refused error
	err := d.do(ctx, func() {
		if d.stopping {
			refused = errors.New("haldir is stopping")
			return
		}
		refused = f()
	})
	return errors.Join(err, refused)
}

// toHandOver returns the routers to hand over: of the named ones, or of all, those
// of which this node is master; or why there are none.
func (d *Director) toHandOver(names []string) (masters []config.VRRP, refused string, err error) {
	var known, lonely []string
	// The families of a block move as one, whichever is named.
	wanted := make(map[string]bool)
	for _, name := range names {
		wanted[config.Block(name)] = true
	}
	for _, v := range d.config.Routers() {
		known = append(known, v.Name)
		if d.roles[v.Name].State != vrrp.Master || len(names) > 0 && !wanted[config.Block(v.Name)] {
			continue
		}
		if v.Priorities.All == 0 && len(v.Priorities.ByNode) < 2 {
			lonely = append(lonely, v.Name)
		}
		masters = append(masters, v)
	}
	for _, name := range names {
		if !slices.Contains(known, name) && !slices.ContainsFunc(d.config.VRRP, func(v config.VRRP) bool { return v.Name == name }) {
			return nil, "", fmt.Errorf("%w: there is no virtual router %q here, but %s", control.ErrInvalid, name, strings.Join(known, ", "))
		}
	}
	switch {
	case len(masters) == 0 && len(names) > 0:
		return nil, fmt.Sprintf("this node is not master of %s: there is nothing to hand over", strings.Join(names, ", ")), nil
	case len(masters) == 0:
		return nil, "this node is master of no virtual router: there is nothing to hand over", nil
	case len(lonely) > 0:
		return nil, fmt.Sprintf("nobody can take over: the priority of %s names no other node", strings.Join(lonely, ", ")), nil
	}
	return masters, "", nil
}

// handOver hands routers over and waits for the end of it.
func (d *Director) handOver(ctx context.Context, routers []config.VRRP) ([]control.Handover, error) {
	began := time.Now()
	bound := time.Duration(0)
	var request speaker.Handover
	for _, v := range routers {
		bound = max(bound, vrrp.HandoverBound(v.Interval))
		request.Routers = append(request.Routers, v.Name)
	}
	if err := d.ask(ctx, func() error { return d.Speaker.Send(speaker.KindHandover, "", request) }); err != nil {
		return nil, fmt.Errorf("asking the speaker to hand over: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, bound+yieldBound+operationSlack)
	defer cancel()
	ended := make(map[string]time.Time)
	roles, generation, err := d.awaitRoles(bounded, func(roles map[string]Role) bool {
		for _, v := range routers {
			if _, over := ended[v.Name]; !over && handoverOver(roles[v.Name], began) {
				ended[v.Name] = time.Now()
			}
		}
		return len(ended) == len(routers)
	})
	if err == nil {
		_, err = d.applier.wait(bounded, generation)
	}
	if err != nil {
		return nil, fmt.Errorf("waiting for the end of the hand-over: %w", err)
	}
	state, stateErr := d.askSpeaker(ctx)
	addresses, addressErr := d.Host.Addresses(ctx)
	if err := errors.Join(stateErr, addressErr); err != nil {
		return nil, fmt.Errorf("reading back the hand-over: %w", err)
	}
	var out []control.Handover
	for _, v := range routers {
		h := control.Handover{Router: v.Name, Took: control.Of(ended[v.Name].Sub(began))}
		h.Problem = whyNotHandedOver(v, roles[v.Name], addresses)
		for _, r := range state.Routers {
			if r.Name == v.Name && r.Heard != nil && r.Heard.From == roles[v.Name].Master {
				h.To, h.Priority, h.Age = text(r.Heard.From), r.Heard.Priority, control.Of(r.Heard.Age)
			}
		}
		if h.Problem == "" && h.To == "" {
			h.Problem = "no advert of a successor was heard"
		}
		out = append(out, h)
	}
	return out, nil
}

// handoverOver reports whether a hand-over that began then has ended, one way or
// the other.
func handoverOver(r Role, began time.Time) bool {
	switch {
	case r.Since.Before(began):
		return false
	case r.State == vrrp.Backup:
		return !r.Yielding // the successor has announced the addresses
	case r.State == vrrp.Leaving:
		return false
	}
	return true
}

// whyNotHandedOver is empty for a router that is backup now and has no address.
func whyNotHandedOver(v config.VRRP, r Role, present []netif.PresentAddress) string {
	switch {
	case r.State == vrrp.Master && r.Reason == vrrp.ReasonHandoverTimeout:
		return fmt.Sprintf("no other director took over within %v: this node stays master", vrrp.HandoverBound(v.Interval))
	case r.State != vrrp.Backup:
		return fmt.Sprintf("this node is %s: %s", r.State, r.Reason)
	}
	for _, p := range present {
		if p.Ours && slices.Contains(v.Addresses, p.Prefix) {
			return fmt.Sprintf("%s is still on %s", p.Prefix, p.Interface)
		}
	}
	return ""
}

func handedOver(all []control.Handover) bool {
	return !slices.ContainsFunc(all, func(h control.Handover) bool { return h.Problem != "" })
}

// awaitRoles waits until done says of the roles that it is; the returned
// generation is that of the desired state which follows from them.
func (d *Director) awaitRoles(ctx context.Context, done func(map[string]Role) bool) (map[string]Role, uint64, error) {
	for {
		var roles map[string]Role
		var generation uint64
		var changed <-chan struct{}
		err := d.do(ctx, func() { roles, generation, changed = d.rolesNow() })
		if err != nil {
			return nil, 0, err
		}
		if done(roles) {
			return roles, generation, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}
