package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/control"
)

func newFailover(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "failover [ROUTER...]",
		Short: "Hand mastership to the peer without losing a packet",
		Long: `Have this node give its role away, in all virtual routers of which it is master
or in the named ones. It resigns, goes on answering and forwarding until the
successor is heard and has announced the addresses, and lets go then. If nobody
takes over, it stays master and nothing was lost.

Afterwards this node is a backup that does not preempt, whatever its priority,
until it was master again: it takes over if the peer falls silent or hands back.
A restart of haldir ends that too. To keep this node from becoming master at all,
use haldir maintenance.

Exit status 0: the successor's advert was heard and the addresses are gone from
here. 1: not handed over; the message says why. 2: no such virtual router.`,
		Example: "  haldir failover\n  haldir failover edge --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.failover(cmd.Context(), control.FailoverRequest{Routers: args})
		},
	}
	s.addSocket(cmd)
	s.addJSON(cmd)
	return cmd
}

func (s *settings) failover(ctx context.Context, request control.FailoverRequest) error {
	ctx, cancel := context.WithTimeout(ctx, control.HandoverBound)
	defer cancel()
	result, err := s.client().Failover(ctx, request)
	if err != nil {
		return asked(err)
	}
	if s.json {
		return s.printOutcome(result, result.Done)
	}
	fmt.Fprint(s.stdout, handovers(result.Handovers))
	switch {
	case result.Refused != "":
		return problem(errors.New(result.Refused))
	case !result.Done:
		return problem(errors.New("not everything was handed over"))
	}
	return nil
}

func newMaintenance(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "maintenance on|off",
		Short: "Keep this node from becoming master, across restarts and reboots",
		Long: `on hands over what this node is master of, as haldir failover does, and then
takes it out of the election: it does not become master even if the peer dies.
Where nobody takes over it is refused, unless --force is given: then the service
stops. It holds across restarts and reboots until off, after which this node
listens and takes part as its priority says.

Exit status 0: done, and read back. 1: refused or not done; the message says why.`,
		Example: "  haldir maintenance on --reason \"new kernel\"\n  haldir maintenance off",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var request control.MaintenanceRequest
	on := &cobra.Command{
		Use: "on", Short: "Hand over and take no part", Args: cobra.NoArgs,
		Example: "  haldir maintenance on --reason \"new kernel\"",
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.On = true
			return s.maintenance(cmd.Context(), request)
		},
	}
	on.Flags().StringVar(&request.Reason, "reason", "", "why, shown in the status")
	on.Flags().BoolVar(&request.Force, "force", false, "also where nobody takes over: the service stops")
	off := &cobra.Command{
		Use: "off", Short: "Take part again", Args: cobra.NoArgs, Example: "  haldir maintenance off",
		RunE: func(cmd *cobra.Command, _ []string) error { return s.maintenance(cmd.Context(), request) },
	}
	for _, sub := range []*cobra.Command{on, off} {
		s.addSocket(sub)
		s.addJSON(sub)
		cmd.AddCommand(sub)
	}
	return cmd
}

func (s *settings) maintenance(ctx context.Context, request control.MaintenanceRequest) error {
	ctx, cancel := context.WithTimeout(ctx, control.HandoverBound)
	defer cancel()
	result, err := s.client().Maintenance(ctx, request)
	if err != nil {
		return asked(err)
	}
	if s.json {
		return s.printOutcome(result, result.Done)
	}
	fmt.Fprint(s.stdout, handovers(result.Handovers))
	switch {
	case result.Refused != "":
		return problem(fmt.Errorf("not in maintenance: %s (--force to do it all the same: the service stops)", result.Refused))
	case !result.Done:
		return problem(errors.New("switched, but the virtual routers have not followed yet: see haldir status"))
	case request.On:
		fmt.Fprintln(s.stdout, "in maintenance: this node does not become master until haldir maintenance off")
	default:
		fmt.Fprintln(s.stdout, "this node takes part again")
	}
	return nil
}

// asked is the end of a command whose request came back with an error.
func asked(err error) error {
	if errors.Is(err, control.ErrInvalid) {
		return usage(err)
	}
	return problem(err)
}

// printOutcome prints a result whose exit status depends on whether it is done.
func (s *settings) printOutcome(result any, done bool) error {
	if err := printJSON(s.stdout, result); err != nil {
		return problem(err)
	}
	if !done {
		return &statusError{code: exitProblem}
	}
	return nil
}

// handovers says what became of each router, a line each.
func handovers(all []control.Handover) string {
	var b strings.Builder
	for _, h := range all {
		if h.Problem != "" {
			fmt.Fprintf(&b, "%s: %s\n", h.Router, h.Problem)
			continue
		}
		fmt.Fprintf(&b, "%s: handed over to %s (priority %d) in %s; its last advert is %s old, the addresses are gone from here\n",
			h.Router, h.To, h.Priority, h.Took.Duration().Round(time.Millisecond), short(h.Age.Duration()))
	}
	return b.String()
}
