package main

import (
	"fmt"
	"strings"

	"github.com/haldir-lb/haldir/internal/control"
)

// renderSync shows the synchronisation of connections.
func renderSync(b *strings.Builder, s *control.SyncStatus, p paint) {
	if s == nil {
		return
	}
	state := func(running *bool, yes, no string) string {
		switch {
		case running == nil:
			return p.middle("unknown whether it " + yes)
		case *running:
			return p.good(yes)
		}
		return p.bad(no)
	}
	fmt.Fprintf(b, "\n%s on %s, id %d: %s, %s\n", p.head("connection sync"), s.Interface, s.ID,
		state(s.Sends, "sends", "does not send"), state(s.Listens, "listens", "does not listen"))
	if c := s.Connections; c != nil {
		more := ""
		if c.More {
			more = " and more, of which the count stopped"
		}
		fmt.Fprintf(b, "  %d connections seen here, %d learned from others%s\n", c.Own, c.Learned, more)
	}
	for _, o := range s.Others {
		more := ""
		if o.More {
			more = " and more"
		}
		fmt.Fprintf(b, "  %s has learned %d%s, and seen %d itself, %s ago\n", o.Node, o.Learned, more, o.Own, short(o.Age.Duration()))
	}
	if len(s.Others) == 0 {
		fmt.Fprintf(b, "  %s\n", p.middle("unknown what the other director has: it tells nothing of it"))
	}
}
