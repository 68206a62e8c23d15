package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/realserver"
)

func newKeeperStatus(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Everything read back, and what the keeper has done",
		Long: `Print which services this host serves, how many connections they have, what
haldir realserver run has done and when, and every item as read from the kernel
at this moment.

Exit status 0: all is well. 1: something is not.`,
		Example: "  haldir realserver status\n  haldir realserver status --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.realserverStatus(cmd.Context()) },
	}
	s.addConfig(cmd)
	s.addRunDir(cmd)
	s.addJSON(cmd)
	return cmd
}

// serverStatus is what realserver status prints.
type serverStatus struct {
	Version int `json:"version"`
	// At is when the host was read.
	At       time.Time `json:"at"`
	Services []string  `json:"services"`
	// Connections are those of TCP services; null where they could not be counted.
	Connections *int `json:"connections"`
	// Running says whether a keeper is at work; null where that is not known.
	// Keeper is what it wrote down last; null where there never was one.
	Running  *bool                `json:"running"`
	Keeper   *realserver.Record   `json:"keeper"`
	Findings []realserver.Finding `json:"findings"`
	Problems []string             `json:"problems,omitempty"`
	Unknown  []string             `json:"unknown,omitempty"`
}

func (s *settings) realserverStatus(ctx context.Context) error {
	state, err := s.realserverState()
	if err != nil {
		return err
	}
	runner := s.realserverRunner()
	status := serverStatus{Version: 1, At: time.Now(), Services: state.Services()}
	if status.Findings, err = runner.Verify(ctx, state); err != nil {
		return problem(err)
	}
	if all, err := runner.Kernel.Connections(ctx); err != nil {
		status.Unknown = append(status.Unknown, err.Error())
	} else {
		open := state.Connections(all)
		status.Connections = &open
	}
	if running, err := process.Locked(s.runDir, realserverLock); err != nil {
		status.Unknown = append(status.Unknown, err.Error())
	} else {
		status.Running = &running
	}
	switch record, err := realserver.LoadRecord(s.runDir); {
	case err != nil:
		status.Unknown = append(status.Unknown, err.Error())
	case record.PID != 0:
		status.Keeper = &record
	}
	status.judge()
	if s.json {
		err = printJSON(s.stdout, status)
	} else {
		_, err = io.WriteString(s.stdout, renderServer(status, palette(colourful(s.stdout))))
	}
	if err != nil {
		return problem(err)
	}
	if len(status.Problems) > 0 || len(status.Unknown) > 0 {
		return &statusError{code: exitProblem}
	}
	return nil
}

// judge gathers what is not well.
func (s *serverStatus) judge() {
	wrong := 0
	for _, f := range s.Findings {
		if !f.OK {
			wrong++
		}
	}
	if wrong > 0 {
		s.Problems = append(s.Problems, count(wrong, "item")+" not as it should be")
	}
	if s.Running != nil && !*s.Running && s.Keeper != nil {
		s.Problems = append(s.Problems, fmt.Sprintf("the keeper with pid %d has ended without undoing anything; nothing is repaired", s.Keeper.PID))
	}
	if s.Running == nil || !*s.Running || s.Keeper == nil {
		return
	}
	if s.Keeper.Problem != "" {
		s.Problems = append(s.Problems, fmt.Sprintf("the keeper for %s: %s", age(s.Keeper.ProblemSince, s.At), s.Keeper.Problem))
	}
	if s.Keeper.Refused != "" {
		s.Problems = append(s.Problems, fmt.Sprintf("the configuration of %s ago is refused, that of %s ago is in force: %s",
			age(s.Keeper.RefusedAt, s.At), age(s.Keeper.Loaded, s.At), s.Keeper.Refused))
	}
}

// renderServer is a pure function of its arguments.
func renderServer(s serverStatus, p paint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", p.head("real server of "+strings.Join(s.Services, ", ")), p.faint("read "+s.At.Format(time.RFC3339)))
	if s.Connections != nil {
		fmt.Fprintf(&b, "connections  %d\n", *s.Connections)
	}
	fmt.Fprintf(&b, "keeper       %s\n\n", keeperLine(s, p))
	for _, f := range s.Findings {
		b.WriteString(renderFinding(f, p))
	}
	if len(s.Problems)+len(s.Unknown) > 0 {
		b.WriteByte('\n')
	}
	for _, line := range s.Unknown {
		fmt.Fprintf(&b, "%s %s\n", p.middle("unknown"), line)
	}
	for _, line := range s.Problems {
		fmt.Fprintf(&b, "%s %s\n", p.bad("problem"), line)
	}
	return b.String()
}

func keeperLine(s serverStatus, p paint) string {
	switch {
	case s.Running == nil:
		return p.middle("unknown whether one runs")
	case !*s.Running:
		return "none runs: what somebody else changes is not repaired"
	case s.Keeper == nil:
		return p.middle("starting")
	}
	k := s.Keeper
	line := fmt.Sprintf("%s for %s, last applied %s ago, repaired %s", p.good(fmt.Sprintf("pid %d", k.PID)),
		age(k.Since, s.At), age(k.Applied, s.At), times(k.Repairs))
	if k.Repairs > 0 {
		line += fmt.Sprintf(", last %s ago: %s", age(k.RepairedAt, s.At), k.Repaired)
	}
	return line
}

// renderFinding is one line.
func renderFinding(f realserver.Finding, p paint) string {
	mark, wrong := p.good("ok   "), ""
	if !f.OK {
		mark, wrong = p.bad("WRONG"), fmt.Sprintf(", want %s: %s", f.Want, f.Remedy)
	}
	by := ""
	if len(f.Services) > 0 {
		by = "  " + p.faint("("+strings.Join(f.Services, ", ")+")")
	}
	return fmt.Sprintf("%s  %s = %s%s%s\n", mark, f.Item, f.Got, wrong, by)
}

// oneLine makes text fit where a line ends a message.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
