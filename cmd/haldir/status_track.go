package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
)

func renderTracker(b *strings.Builder, t control.TrackerStatus, now time.Time, p paint) {
	state := fmt.Sprintf("%-7s", t.State)
	switch t.State {
	case "up":
		state = p.good(state)
	case "down":
		state = p.bad(state)
	default:
		state = p.middle(state)
	}
	fmt.Fprintf(b, "  %-22s %s", t.Name, state)
	if t.Effect != "" {
		fmt.Fprintf(b, " %s", p.middle(t.Effect))
	}
	var notes []string
	if !t.Since.IsZero() {
		notes = append(notes, "for "+age(t.Since, now))
	}
	if t.Checked != nil {
		notes = append(notes, "checked "+short(t.Checked.Duration())+" ago")
	}
	if t.State != "up" || t.Warning {
		notes = append(notes, t.Reason, t.Detail)
	}
	if t.Stale {
		notes = append(notes, "stale")
	}
	text := strings.Join(slicesWithout(notes, ""), ", ")
	switch {
	case text != "" && t.Effect != "":
		fmt.Fprintf(b, "%s", p.faint(", "+text))
	case text != "":
		fmt.Fprintf(b, " %s", p.faint(text))
	}
	b.WriteByte('\n')
}

func renderNotified(b *strings.Builder, n *control.NotifyStatus, now time.Time, p paint) {
	if n == nil {
		return
	}
	how := p.good("done")
	switch {
	case n.Problem != "":
		how = p.bad(n.Problem)
	case n.Took == nil:
		how = p.middle("running")
	}
	fmt.Fprintf(b, "  notified of %s %s ago: %s", n.State, age(n.At, now), how)
	if n.Took != nil && n.Problem == "" {
		fmt.Fprintf(b, "%s", p.faint(" in "+short(n.Took.Duration())))
	}
	if !n.Again.IsZero() {
		fmt.Fprintf(b, "%s", p.faint(", again in "+short(n.Again.Sub(now))))
	}
	b.WriteByte('\n')
}
