package lab

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/haldir-lb/haldir/lab/internal/stage"
	"github.com/haldir-lb/haldir/lab/traffic"
)

const (
	// lookEvery is how often the nodes are asked for their state. On a slow machine,
	// which has better things to do, lookShare times what it takes passes in
	// between, but no more than lookLatest.
	lookEvery  = 200 * time.Millisecond
	lookShare  = 10
	lookLatest = time.Second
	// keptColumns is more than the widest terminal shows.
	keptColumns = 400
)

// watch keeps the picture of the nodes until ctx ends.
func (d *demo) watch(ctx context.Context) {
	for {
		began := time.Now()
		nodes := d.look(ctx)
		pause := time.NewTimer(min(max(lookEvery, lookShare*time.Since(began)), lookLatest))
		d.stage.Show(func(p *stage.Picture) {
			p.Client = fmt.Sprintf("%d requests, %d connections a second to %s", d.spec.Client.UDP, d.spec.Client.TCP, d.spec.VIP())
			p.Servers, p.Rate, p.Nodes = d.reals(), d.spec.Client.UDP/10, nodes
		})
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// look reads the state of every machine: the directors' from their own account,
// with the kernel's word on who has the address, the real servers' from the
// master's table.
func (d *demo) look(ctx context.Context) []stage.Node {
	ctx, cancel := context.WithTimeout(ctx, lookLatest)
	defer cancel()
	var nodes []stage.Node
	weights := map[string]uint32{}
	for _, n := range d.cluster.Nodes(KindDirector) {
		drawn := stage.Node{Name: n.Name, Role: "silent", Mood: stage.Gone}
		if !d.started.Load() {
			drawn.Role, drawn.Mood = "off", stage.Calm
		} else if carrier, err := n.Carrier(); err == nil && !carrier {
			drawn.Role = "no power"
		} else if status, err := n.Status(ctx); err == nil && len(status.Routers) > 0 {
			drawn.Role, drawn.Mood = status.Routers[0].State, stage.Calm
			if drawn.Role == "master" {
				drawn.Mood = stage.Active
				for _, s := range status.Services {
					for _, r := range s.Real {
						if r.Weight != nil {
							weights[r.Address.Addr().String()] = *r.Weight
						}
					}
				}
			}
		}
		if has, err := n.Has(d.spec.VIP()); err == nil && has {
			drawn.Note = "◆ " + d.spec.VIP().String()
		}
		nodes = append(nodes, drawn)
	}
	for _, n := range d.cluster.Nodes(KindReal) {
		drawn := stage.Node{Name: n.Name, Role: "out", Mood: stage.Calm}
		if carrier, err := n.Carrier(); err == nil && !carrier {
			drawn.Role, drawn.Mood = "no power", stage.Gone
		} else if weights[n.Address.String()] > 0 {
			drawn.Role, drawn.Mood = "in the pool", stage.Active
		}
		nodes = append(nodes, drawn)
	}
	return nodes
}

// tick adds a column to the picture.
func (d *demo) tick(t traffic.Tick) {
	if t.Stream != "udp" {
		return
	}
	d.stage.Show(func(p *stage.Picture) {
		column := stage.Column{Answered: make([]int, len(p.Servers)), Failed: t.Sent - t.Good()}
		for name, n := range t.Answered {
			if i := slices.Index(p.Servers, name); i >= 0 {
				column.Answered[i] = n
			}
		}
		p.Columns = append(p.Columns, column)
		if extra := len(p.Columns) - keptColumns; extra > 0 {
			p.Columns = slices.Delete(p.Columns, 0, extra)
		}
	})
}
