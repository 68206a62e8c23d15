package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/control"
)

func newZero(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "zero [SERVICE]",
		Short: "Set the kernel's counters of a service, or of all, to 0",
		Long: `Set the counters of connections, packets and bytes to 0, in the kernel of this
node: those of one service and its real servers, or of all services of the
configuration. Services of other programs and the number of open connections are
not touched. What is printed is what the counters had come to.`,
		Example: "  haldir zero web\n  haldir zero --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.zero(cmd.Context(), control.ZeroRequest{Service: strings.Join(args, "")})
		},
	}
	s.addSocket(cmd)
	s.addJSON(cmd)
	return cmd
}

func (s *settings) zero(ctx context.Context, request control.ZeroRequest) error {
	ctx, cancel := context.WithTimeout(ctx, clientBound)
	defer cancel()
	result, err := s.client().Zero(ctx, request)
	if err != nil {
		return asked(err)
	}
	done := true
	var text strings.Builder
	for _, z := range result.Services {
		fmt.Fprintf(&text, "%s at %s: ", z.Service, z.Listen)
		switch {
		case z.Problem != "":
			done = false
			fmt.Fprintln(&text, z.Problem)
		case z.Before == nil:
			fmt.Fprintln(&text, "not in the kernel of this node")
		default:
			fmt.Fprintf(&text, "0, after %d connections, %d packets in and %d out\n", z.Before.Connections, z.Before.InPackets, z.Before.OutPackets)
		}
	}
	if s.json {
		return s.printOutcome(result, done)
	}
	if _, err := fmt.Fprint(s.stdout, text.String()); err != nil {
		return problem(err)
	}
	if !done {
		return problem(errors.New("not all counters were set to 0"))
	}
	return nil
}
