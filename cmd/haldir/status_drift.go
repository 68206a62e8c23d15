package main

import (
	"fmt"
	"strings"

	"github.com/haldir-lb/haldir/internal/control"
)

// renderDrift shows what another program did to the IPVS table.
func renderDrift(b *strings.Builder, d *control.DriftStatus, p paint) {
	if d == nil {
		return
	}
	fmt.Fprintf(b, "\n%s %s ago, %s since the start; undone by\n", p.middle("another program changed the IPVS table"),
		short(d.Age.Duration()), times(d.Times))
	for _, repair := range d.Repairs {
		fmt.Fprintf(b, "  %s\n", repair)
	}
	if more := d.Operations - len(d.Repairs); more > 0 {
		fmt.Fprintf(b, "  %s\n", p.faint(fmt.Sprintf("and %d more", more)))
	}
}
