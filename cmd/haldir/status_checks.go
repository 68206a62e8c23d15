package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
)

// checks prints what is checked of one real server, with the recent results. It
// is a problem if one of the checks is not up.
func (s *settings) checks(ctx context.Context, real string) error {
	ctx, cancel := context.WithTimeout(ctx, clientBound)
	defer cancel()
	report, err := s.client().Checks(ctx, real)
	if err != nil {
		return problem(err)
	}
	if s.json {
		err = printJSON(s.stdout, report)
	} else {
		_, err = io.WriteString(s.stdout, renderChecks(report, palette(colourful(s.stdout))))
	}
	if err != nil {
		return problem(err)
	}
	bad := func(c control.CheckReport) bool { return c.Health != "up" || c.Stale }
	if report.Unknown != "" || slices.ContainsFunc(report.Checks, bad) {
		return &statusError{code: exitProblem}
	}
	return nil
}

// renderChecks is a pure function of its arguments.
func renderChecks(report control.ChecksReport, p paint) string {
	var b strings.Builder
	for i, c := range report.Checks {
		if i > 0 {
			b.WriteByte('\n')
		}
		state := p.middle(c.Health)
		switch c.Health {
		case "up":
			state = p.good(c.Health)
		case "down":
			state = p.bad(c.Health)
		}
		fmt.Fprintf(&b, "%s %s for %s  %s\n", p.head(c.Target), state, age(c.Since, report.At), p.faint("judges "+strings.Join(c.Services, ", ")))
		var notes []string
		if c.Checked != nil {
			notes = append(notes, fmt.Sprintf("checked %s ago in %s: %s", short(c.Checked.Duration()), c.Duration.Duration().Round(10*time.Microsecond), sentence(c.Reason, c.Detail)))
		}
		if c.Stale {
			notes = append(notes, p.middle("stale: no checker has confirmed it"))
		}
		if c.Rising > 0 {
			notes = append(notes, fmt.Sprintf("%d successes in a row", c.Rising))
		}
		if c.Falling > 0 {
			notes = append(notes, fmt.Sprintf("%d failures in a row", c.Falling))
		}
		if c.Flapping > 0 {
			notes = append(notes, p.middle(fmt.Sprintf("it keeps falling: needs %d successes to come back", c.Flapping)))
		}
		if c.Share != nil {
			notes = append(notes, fmt.Sprintf("asks for %d%% of its weight", *c.Share))
		}
		for _, note := range notes {
			fmt.Fprintf(&b, "  %s\n", note)
		}
		for _, r := range slices.Backward(c.History) {
			renderRecord(&b, r, report.At, p)
		}
	}
	if report.Unknown != "" {
		fmt.Fprintf(&b, "%s history: %s\n", p.middle("unknown"), report.Unknown)
	}
	return b.String()
}

func renderRecord(b *strings.Builder, r control.CheckRecord, now time.Time, p paint) {
	outcome := fmt.Sprintf("%-17s", r.Outcome)
	switch {
	case r.Outcome == "passed" && !r.Warning:
		outcome = p.good(outcome)
	case r.Outcome == "failed":
		outcome = p.bad(outcome)
	default:
		outcome = p.middle(outcome)
	}
	when := age(r.Last, now) + " ago"
	if r.Count > 1 {
		when = fmt.Sprintf("%s to %s ago", age(r.First, now), age(r.Last, now))
	}
	fmt.Fprintf(b, "  %s %6d×  %-24s %s %s\n", outcome, r.Count, when, sentence(r.Reason, r.Detail),
		p.faint(fmt.Sprintf("(then %s, %s at most)", r.Health, r.Longest.Duration().Round(10*time.Microsecond))))
	for line := range strings.Lines(r.Output) {
		fmt.Fprintf(b, "    %s\n", p.faint("| "+strings.TrimRight(line, "\n")))
	}
}

func sentence(reason, detail string) string {
	return strings.TrimSuffix(reason+", "+detail, ", ")
}
