package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/doctor"
	"github.com/haldir-lb/haldir/internal/facts"
)

func newDoctor(s *settings) *cobra.Command {
	skip := false
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for the classic LVS mistakes on this host, with the remedy of each",
		Long: `Look for the classic mistakes of LVS hosts: on a director, a real server, a host
that is both, or any other. It reads the kernel, the configuration and, if it
runs, the daemon; it changes nothing. What could not be read is said so.

For a second, or two of the longest interval, it also asks the segment who has the
virtual addresses, by probes that no neighbour learns from, listens for VRRP
adverts, and measures how late this machine is. With --no-probe it does not.

Exit status 0: no faults. 1: at least one. 2: wrong usage or configuration.`,
		Example: "  haldir doctor\n  haldir doctor --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.doctor(cmd, !skip) },
	}
	s.addConfig(cmd)
	s.addSocket(cmd)
	s.addJSON(cmd)
	cmd.Flags().BoolVar(&skip, "no-probe", false, "neither ask nor listen on the network, and measure nothing")
	return cmd
}

// examination is what haldir doctor prints.
type examination struct {
	Node     string           `json:"node"`
	Roles    []string         `json:"roles"`
	Findings []doctor.Finding `json:"findings"`
	Unknown  []facts.Unknown  `json:"unknown"`
}

func (s *settings) doctor(cmd *cobra.Command, probe bool) error {
	in, unknown, err := s.readPatient(cmd.Context(), cmd.Flags().Changed("config"))
	if err != nil {
		return usage(err)
	}
	unknown = append(unknown, in.Host.Unknown...)
	if probe {
		in.Segment = facts.LookAround(cmd.Context(), doctor.Look(in))
		unknown = append(unknown, in.Segment.Unknown...)
	}
	e := examination{
		Roles: append([]string{}, doctor.Roles(in)...), Findings: append([]doctor.Finding{}, doctor.Examine(in)...), Unknown: unknown,
	}
	if in.Config != nil {
		e.Node = in.Config.Node
	}
	if s.json {
		err = printJSON(s.stdout, e)
	} else {
		_, err = io.WriteString(s.stdout, renderExamination(e, palette(colourful(s.stdout))))
	}
	if err != nil {
		return problem(err)
	}
	for _, f := range e.Findings {
		if f.Severity == doctor.Fault {
			return &statusError{code: exitProblem}
		}
	}
	return nil
}

// readPatient reads all that the doctor looks at. A host without a configuration
// is examined all the same, unless one was asked for. The ways to real servers
// and to waysTo are looked up.
func (s *settings) readPatient(ctx context.Context, required bool, waysTo ...netip.Addr) (doctor.Input, []facts.Unknown, error) {
	var in doctor.Input
	unknown := []facts.Unknown{}
	var err error
	in.Config, err = s.load(false)
	if errors.Is(err, fs.ErrNotExist) && !required {
		in.Config, err = nil, nil
		unknown = append(unknown, facts.Unknown{What: "the cluster", Reason: "there is no " + s.config})
	}
	if err != nil {
		return in, nil, err
	}
	in.Host = facts.Read(ctx, facts.Wants{WaysTo: append(waysTo, realServers(in.Config)...)})
	in.Host.ReadModules(doctor.Modules(in)...)
	bounded, cancel := context.WithTimeout(ctx, clientBound)
	defer cancel()
	status, err := s.client().Status(bounded)
	switch {
	case err == nil:
		in.Status = &status
	case !errors.Is(err, control.ErrNotRunning):
		unknown = append(unknown, facts.Unknown{What: "the daemon's state", Reason: err.Error()})
	}
	return in, unknown, nil
}

// realServers lists the address of every real server but the director itself.
func realServers(cfg *config.Config) []netip.Addr {
	var list []netip.Addr
	if cfg == nil {
		return nil
	}
	for _, service := range cfg.Services {
		for _, real := range service.Real {
			if !real.Local() {
				list = append(list, real.Address)
			}
		}
		if sorry := service.Pool.Sorry; sorry != nil && !sorry.Local() {
			list = append(list, sorry.Address)
		}
	}
	return list
}

// renderExamination is a pure function of its arguments.
func renderExamination(e examination, p paint) string {
	var b strings.Builder
	role := "no director or real server by the configuration"
	if len(e.Roles) > 0 {
		role = strings.Join(e.Roles, ", ")
	}
	if e.Node != "" {
		fmt.Fprintf(&b, "%s  %s\n", p.head(e.Node), p.faint(role))
	}
	faults := 0
	for _, f := range e.Findings {
		mark := p.faint("note   ")
		switch f.Severity {
		case doctor.Fault:
			mark = p.bad("FAULT  ")
			faults++
		case doctor.Warning:
			mark = p.middle("warning")
		}
		fmt.Fprintf(&b, "\n%s  %s: %s\n", mark, p.head(f.ID), f.Title)
		for _, line := range [][2]string{{"evidence", f.Evidence}, {"consequence", f.Consequence}, {"remedy", f.Remedy}} {
			fmt.Fprintf(&b, "         %-12s %s\n", p.faint(line[0]), line[1])
		}
	}
	if len(e.Findings) > 0 {
		b.WriteByte('\n')
	}
	for _, u := range e.Unknown {
		fmt.Fprintf(&b, "%s  %s: %s\n", p.middle("unknown"), u.What, u.Reason)
	}
	switch {
	case faults > 0:
		fmt.Fprintf(&b, "%s\n", p.bad(count(faults, "fault")))
	case len(e.Findings) > 0:
		fmt.Fprintf(&b, "%s, %d to look at\n", p.good("no faults"), len(e.Findings))
	default:
		fmt.Fprintf(&b, "%s\n", p.good("no faults"))
	}
	return b.String()
}
