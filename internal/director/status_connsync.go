package director

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// A status counts no more connections than this, and for no longer: the kernel
// takes ever longer for each.
const (
	countMost  = 10000
	countBound = 200 * time.Millisecond
)

// countLearned counts as many as it may.
func countLearned(ctx context.Context, host Host) (*control.SyncConnections, error) {
	bounded, cancel := context.WithTimeout(ctx, countBound)
	defer cancel()
	var n control.SyncConnections
	err := host.Connections(bounded, func(c ipvsctl.Connection) bool {
		if n.Own+n.Learned == countMost {
			n.More = true
			return false
		}
		switch {
		case c.Learned:
			n.Learned++
		default:
			n.Own++
		}
		return true
	})
	if bounded.Err() != nil && ctx.Err() == nil {
		n.More, err = true, nil
	}
	if err != nil {
		return nil, err
	}
	return &n, nil
}

// syncStatus says how the synchronisation of connections is at work.
func (v *view) syncStatus() *control.SyncStatus {
	desired := SyncDaemons(v.config)
	if len(desired) == 0 {
		return nil
	}
	out := &control.SyncStatus{Interface: v.config.Sync.Interface, ID: v.config.Sync.ID, Connections: v.counts, Others: v.othersConnections()}
	if v.syncs != nil || v.syncErr == nil {
		runs := func(want ipvsctl.SyncDaemon) *bool {
			there := slices.ContainsFunc(v.syncs, func(d ipvsctl.SyncDaemon) bool { return d.Same(want) })
			return &there
		}
		out.Sends, out.Listens = runs(desired[0]), runs(desired[1])
	}
	if err := errors.Join(append(slices.Clone(v.applied.Sync.Failed), v.applied.SyncErr)...); err != nil {
		out.Error = err.Error()
	}
	return out
}

// syncProblems lists what is wrong with it.
func syncProblems(say func(string, ...any), s *control.SyncStatus) {
	switch {
	case s == nil:
	case s.Error != "":
		say("connection sync: %s", s.Error)
	case s.Sends != nil && !*s.Sends:
		say("connection sync: the kernel does not send on %s with id %d", s.Interface, s.ID)
	case s.Listens != nil && !*s.Listens:
		say("connection sync: the kernel does not listen on %s with id %d", s.Interface, s.ID)
	}
}
