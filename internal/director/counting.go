package director

import (
	"context"
	"sync"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/peer"
)

// countEvery is how often the connections are counted for the other directors, and
// countTrust for how long a count is told.
const (
	countEvery = 5 * time.Second
	countTrust = 3 * countEvery
)

// counting is the latest count of the kernel's connections.
type counting struct {
	mu   sync.Mutex
	at   time.Time                // guarded by mu
	last *control.SyncConnections // guarded by mu; nil: none
}

// run counts until ctx ends, while connections are synchronised.
func (c *counting) run(ctx context.Context, host Host, wanted func(context.Context) bool) {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var n *control.SyncConnections
		if wanted(ctx) {
			n, _ = countLearned(ctx, host) // what cannot be counted is not told
		}
		c.mu.Lock()
		c.at, c.last = time.Now(), n
		c.mu.Unlock()
	}
}

// told is the count as the other directors are told, nil if there is none.
func (c *counting) told(now time.Time) *peer.Connections {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil || now.Sub(c.at) > countTrust {
		return nil
	}
	return &peer.Connections{Own: uint32(c.last.Own), Learned: uint32(c.last.Learned), More: c.last.More, Ago: now.Sub(c.at).Milliseconds()}
}

// synchronises reports whether the configuration has connections synchronised.
func (d *Director) synchronises(ctx context.Context) (yes bool) {
	_ = d.do(ctx, func() { yes = len(d.syncDaemons()) > 0 })
	return yes
}

// othersConnections is what the other directors said of theirs.
func (v *view) othersConnections() []control.SyncOther {
	var out []control.SyncOther
	for _, p := range v.peers {
		age := v.now.Sub(p.At)
		if c := p.Connections; c != nil && age <= peer.Silence {
			out = append(out, control.SyncOther{
				Node: p.Node, Age: control.Of(age + time.Duration(c.Ago)*time.Millisecond),
				SyncConnections: control.SyncConnections{Own: int(c.Own), Learned: int(c.Learned), More: c.More},
			})
		}
	}
	return out
}
