package lab

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/haldir-lb/haldir/lab/traffic"
)

// Downloads are connections of the client that last. Its methods may be called
// by many goroutines.
type Downloads struct {
	agent *agent

	mu      sync.Mutex
	latest  []traffic.Download
	changed chan struct{} // closed and replaced at each message
}

// StartDownloads opens count connections, in each family, to the first service
// that streams.
func (c *Cluster) StartDownloads(ctx context.Context, count int) (*Downloads, error) {
	cfg, ok := c.Spec.downloadConfig(count)
	if !ok {
		return nil, errors.New("starting downloads: no service of the lab streams")
	}
	d := &Downloads{changed: make(chan struct{})}
	agent, err := c.Node(Client).startAgent(ctx, "downloads", cfg, func(m traffic.Message) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.latest = m.Downloads
		close(d.changed)
		d.changed = make(chan struct{})
	})
	if err != nil {
		return nil, err
	}
	d.agent = agent
	c.loads = append(c.loads, d)
	return d, nil
}

// State returns what was told last.
func (d *Downloads) State() []traffic.Download {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.latest
}

// GoOn waits until each of the connections has received more than it had at
// the call. One that is broken ends the wait.
func (d *Downloads) GoOn(ctx context.Context) error {
	begin := d.State()
	for {
		d.mu.Lock()
		now, changed := d.latest, d.changed
		d.mu.Unlock()
		waiting := len(now) == 0
		for i, one := range now {
			if one.Broken != "" {
				return fmt.Errorf("the download by %s from %q broke after %d bytes: %s", one.Source, one.Server, one.Bytes, one.Broken)
			}
			had := int64(0)
			if i < len(begin) {
				had = begin[i].Bytes
			}
			waiting = waiting || one.Bytes <= had
		}
		if !waiting {
			return nil
		}
		select {
		case <-changed:
		case <-d.agent.read:
			return errors.New("waiting for the downloads: they have ended")
		case <-ctx.Done():
			return fmt.Errorf("waiting for each of the downloads to go on: %w: %+v", context.Cause(ctx), now)
		}
	}
}
