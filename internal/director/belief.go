package director

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/statefile"
)

const (
	// beliefEvery is how often changed judgements are written down, beliefAgain how
	// often unchanged ones are, so that the file's age says how old they are.
	beliefEvery = 5 * time.Second
	beliefAgain = time.Minute
	// beliefLimit is how old judgements may be that a node begins with. Older ones
	// say nothing of today.
	beliefLimit = 10 * time.Minute
)

// belief is what a node that starts knows of the real servers.
type belief struct {
	At     time.Time                      `json:"at"`
	Health map[string]healthcheck.Verdict `json:"health"`
}

// beliefPath is the file that keeps the judgements over a restart of the node.
func beliefPath(stateDir string) string { return filepath.Join(stateDir, "health.json") }

// recallBelief begins with what was believed before the node was restarted, for
// what neither a checker nor anybody else knows about. It is marked until the
// first check of this node. Without an answer of the disk nothing is believed.
func (d *Director) recallBelief() {
	type answer struct {
		found belief
		err   error
	}
	read := make(chan answer, 1)
	path := beliefPath(d.StateDir)
	go func() {
		var a answer
		a.err = statefile.Load(path, &a.found)
		read <- a
	}()
	bound := time.NewTimer(stateBound)
	defer bound.Stop()
	var a answer
	select {
	case a = <-read:
	case <-bound.C:
		a.err = fmt.Errorf("%s cannot be read: the disk does not answer", path)
	}
	if a.err != nil {
		d.Log.Warn("recalling what was known of the real servers", "error", a.err)
		return
	}
	now := time.Now()
	if age := now.Sub(a.found.At); age < 0 || age > beliefLimit {
		return
	}
	for id, v := range a.found.Health {
		if d.health[id].Status == "" && (v.Status == healthcheck.Up || v.Status == healthcheck.Down) {
			v.ID, v.Known = id, true
			d.health[id] = v
		}
	}
}

// keepBelief writes down what is believed, until ctx ends.
func (d *Director) keepBelief(ctx context.Context) {
	ticker := time.NewTicker(beliefEvery)
	defer ticker.Stop()
	var written belief
	failed := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		next := belief{At: time.Now()}
		again := next.At.Sub(written.At) >= beliefAgain
		err := d.do(ctx, func() {
			if again || !sameStatuses(d.health, written.Health) {
				next.Health = maps.Clone(d.health)
			}
		})
		if err != nil || next.Health == nil {
			continue
		}
		if err := statefile.Save(beliefPath(d.StateDir), next); err != nil {
			if err.Error() != failed {
				failed = err.Error()
				d.Log.Warn("writing down what is known of the real servers", "error", err)
			}
			continue
		}
		written, failed = next, ""
	}
}

func sameStatuses(a, b map[string]healthcheck.Verdict) bool {
	return maps.EqualFunc(a, b, func(x, y healthcheck.Verdict) bool { return x.Status == y.Status && x.Share == y.Share })
}
