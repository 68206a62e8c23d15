package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/lab/guest"
)

// router waits until the virtual router of a node is as wanted.
func (p *pair) router(n *Node, what string, want func(control.RouterStatus) bool) control.RouterStatus {
	p.t.Helper()
	var last control.RouterStatus
	p.must(Await(bound(p.t, patience), n.Name+" "+what, func(ctx context.Context) error {
		status, err := n.Status(ctx)
		if err != nil {
			return err
		}
		if last = status.Routers[0]; !want(last) {
			return fmt.Errorf("it is %s (%s), split brain %+v", last.State, last.Reason, last.SplitBrain)
		}
		return nil
	}))
	return last
}

// happened returns a node's events of a kind.
func (p *pair) happened(n *Node, kind journal.Kind) []string {
	p.t.Helper()
	result, err := p.api(n).Events(bound(p.t, patience), control.EventsRequest{})
	p.must(err)
	var lines []string
	for _, e := range result.Events {
		if e.Kind == kind {
			lines = append(lines, e.String())
		}
	}
	return lines
}

// TestTwoMastersThatHearNoAdvertsNoticeEachOther: adverts alone are cut off, which
// the protocol cannot notice.
func TestTwoMastersThatHearNoAdvertsNoticeEachOther(t *testing.T) {
	if _, inside := guest.Inside(); inside {
		t.Skip("the kernel outside the guest has nf_tables")
	}
	p := newPair(t, DefaultSpec(ForwardNone))
	p.must(p.Deafen())
	both := p.state(p.d2, "master").Since
	for _, n := range []*Node{p.d1, p.d2} {
		r := p.router(n, "to notice a second master", func(r control.RouterStatus) bool { return r.SplitBrain != nil })
		other := p.d1
		if n == p.d1 {
			other = p.d2
		}
		if r.SplitBrain.Evidence != "arp" || r.SplitBrain.With != other.MAC.String() {
			t.Errorf("%s: split brain with %s by %s, want %s by arp", n.Name, r.SplitBrain.With, r.SplitBrain.Evidence, other.MAC)
		}
		if took, most := r.SplitBrain.Since.Sub(both), 3*p.Spec.Lab.Interval.D(); took > most+allowance {
			t.Errorf("%s noticed after %v, want at most three intervals, %v, and %v more", n.Name, took, most, allowance)
		}
	}
	p.must(p.Undeafen())
	p.state(p.d2, "backup")
	for _, n := range []*Node{p.d1, p.d2} {
		p.router(n, "to see the end of it", func(r control.RouterStatus) bool { return r.SplitBrain == nil && r.SplitBrains == 1 })
		lines := p.happened(n, journal.KindSplitBrain)
		if len(lines) != 2 || !strings.Contains(lines[0], "began (arp") || !strings.Contains(lines[1], ": over (") {
			t.Errorf("%s: events %q, want begin and end", n.Name, lines)
		}
	}
	p.holds(p.d1)
	p.served("d1")
}

// TestASpeakerThatWakesUpListens: one that was silent for longer than its peer waits
// does not speak as a master when it goes on.
func TestASpeakerThatWakesUpListens(t *testing.T) {
	spec := DefaultSpec(ForwardNone)
	spec.Lab.Preempt = false
	p := newPair(t, spec)
	before := p.state(p.d2, "backup")

	_, err := p.d1.Pause(process.Speaker)
	p.must(err)
	p.state(p.d2, "master")
	_, err = p.d1.Resume(process.Speaker)
	p.must(err)
	r := p.router(p.d1, "to be backup", func(r control.RouterStatus) bool { return r.State == "backup" })
	if late, least := r.MaxLate.Duration(), p.Spec.Lab.Interval.D(); late < least {
		t.Errorf("it says that it was late by %v at most, want %v at least", late, least)
	}
	const want = `transition lab: master to backup (own silence outlasted the peer's patience)`
	if lines := p.happened(p.d1, journal.KindTransition); !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) }) {
		t.Errorf("d1: transitions %q, want %q among them", lines, want)
	}
	after := p.state(p.d2, "master")
	if after.Since.Before(before.Since) || after.Reason != "master silent" {
		t.Errorf("d2 is master since %v (%s), want it undisturbed", after.Since, after.Reason)
	}
	p.holds(p.d2)
	p.served("d2")
	status, err := p.d1.Status(bound(t, patience))
	p.must(err)
	if l := status.Lateness; l == nil || l.Count == 0 {
		t.Errorf("lateness %+v, want a histogram", l)
	}
	if i := slices.IndexFunc(status.Processes, func(s control.ProcessStatus) bool { return s.Role == "speaker" }); i < 0 || status.Processes[i].Scheduling == "" {
		t.Error("it does not say how the speaker is scheduled")
	}
}
