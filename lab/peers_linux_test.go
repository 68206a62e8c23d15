package lab

import (
	"context"
	"fmt"
	"testing"
)

// TestDirectorsTellOneAnotherWhatTheyHave runs the messages between directors over
// a real link.
func TestDirectorsTellOneAnotherWhatTheyHave(t *testing.T) {
	p := newPair(t, DefaultSpec(ForwardNone))
	for _, c := range []struct {
		of          *Node
		node, state string
		heard       int // announcements
	}{{p.d1, "d2", "backup", 0}, {p.d2, "d1", "master", 0}, {p.d1, "d2", "backup", 1}} {
		p.must(Await(bound(t, patience), c.of.Name+" to hear "+c.node, func(ctx context.Context) error {
			status, err := c.of.Status(ctx)
			if err != nil {
				return err
			}
			if len(status.Directors) != 1 {
				return fmt.Errorf("it heard %+v", status.Directors)
			}
			d := status.Directors[0]
			if d.Node != c.node || d.Silent || !d.SameConfig || len(d.Routers) != 1 || d.Routers[0].State != c.state || len(d.Heard) < c.heard {
				return fmt.Errorf("it heard %+v", d)
			}
			return nil
		}))
	}
	// A machine that is gone is shown as silent, not as it was.
	p.must(p.d2.Crash())
	p.must(Await(bound(t, patience), "d2 to be silent", func(ctx context.Context) error {
		status, err := p.d1.Status(ctx)
		if err != nil {
			return err
		}
		if len(status.Directors) != 1 || !status.Directors[0].Silent {
			return fmt.Errorf("it says %+v", status.Directors)
		}
		return nil
	}))
}
