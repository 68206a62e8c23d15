package main

import (
	"fmt"
	"strings"

	"github.com/haldir-lb/haldir/internal/control"
)

// renderDirector shows what another director last said of itself.
func renderDirector(b *strings.Builder, d control.DirectorStatus, p paint) {
	heard := "heard " + short(d.Age.Duration()) + " ago"
	if d.Silent {
		heard = p.bad("silent for " + short(d.Age.Duration()))
	}
	config := p.good("same configuration")
	if !d.SameConfig {
		config = p.bad(fmt.Sprintf("another configuration, %.8s", d.Digest))
	}
	fmt.Fprintf(b, "\ndirector %s at %s %s, %s  %s\n", p.head(d.Node), d.Address, heard, config, p.faint("haldir "+d.Release))
	var routers []string
	for _, r := range d.Routers {
		routers = append(routers, fmt.Sprintf("%s %s (priority %d)", r.Name, r.State, r.Priority))
	}
	if len(routers) > 0 {
		fmt.Fprintf(b, "  %s\n", strings.Join(routers, ", "))
	}
	for _, j := range d.Judgements {
		fmt.Fprintf(b, "  %s\n", p.middle(fmt.Sprintf("judges %s %s, here it is %s", j.Target, j.Theirs, j.Ours)))
	}
}
