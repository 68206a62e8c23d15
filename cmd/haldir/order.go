package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/control"
)

// drainPoll is how often the connections of a server that drains are asked for.
const drainPoll = 500 * time.Millisecond

// newOrders are the commands that override the configuration of one real server.
func newOrders(s *settings) []*cobra.Command {
	simple := func(action, short, long string) *cobra.Command {
		cmd := &cobra.Command{
			Use: action + " SERVICE REAL", Short: short, Long: long, Example: "  haldir " + action + " web 192.0.2.11",
			Args: cobra.ExactArgs(2),
		}
		reason := s.addOrder(cmd)
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			return s.order(cmd.Context(), control.Order{Action: action, Service: args[0], Real: args[1], Reason: *reason})
		}
		return cmd
	}
	return []*cobra.Command{
		newDrain(s),
		simple("undrain", "Let a drained real server have connections again", "End what `haldir drain` began, at once."),
		simple("disable", "Take a real server out of its service at once", `Take a real server out of its service. Its connections are cut; `+"`haldir drain`"+`
lets them end. It holds over restarts and reloads, until `+"`haldir enable`"+`.`),
		simple("enable", "Take a real server back that was disabled", "End what `haldir disable` began, at once."),
		newWeight(s),
	}
}

// addOrder adds the flags of every order.
func (s *settings) addOrder(cmd *cobra.Command) (reason *string) {
	s.addSocket(cmd)
	s.addJSON(cmd)
	return cmd.Flags().String("reason", "", "why, for whoever looks at the status later")
}

func newWeight(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "weight SERVICE REAL WEIGHT",
		Short: "Give a real server another weight than the configuration does",
		Long: `Give a real server another weight, 0 to 65535, than the configuration does. It
holds over restarts and reloads; "configured" as the weight ends that.`,
		Example: "  haldir weight web 192.0.2.11 5 --reason 'one disk less'\n  haldir weight web 192.0.2.11 configured",
		Args:    cobra.ExactArgs(3),
	}
	reason := s.addOrder(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		order := control.Order{Action: "configured", Service: args[0], Real: args[1], Reason: *reason}
		if args[2] != "configured" {
			weight, err := strconv.ParseUint(args[2], 10, 16)
			if err != nil {
				return usage(fmt.Errorf("weight %q is neither a number from 0 to 65535 nor \"configured\"", args[2]))
			}
			order.Action, order.Weight = "weight", uint32(weight)
		}
		return s.order(cmd.Context(), order)
	}
	return cmd
}

// order gives an order and says what has become of the server.
func (s *settings) order(ctx context.Context, order control.Order) error {
	server, err := s.give(ctx, order)
	if err != nil {
		return problem(err)
	}
	if s.json {
		err = printJSON(s.stdout, server)
	} else {
		_, err = fmt.Fprintln(s.stdout, describeServer(server))
	}
	if err != nil {
		return problem(err)
	}
	return nil
}

func (s *settings) give(ctx context.Context, order control.Order) (control.Server, error) {
	ctx, cancel := context.WithTimeout(ctx, clientBound)
	defer cancel()
	return s.client().Order(ctx, order)
}

// describeServer says what holds for a server, and what the kernel has.
func describeServer(server control.Server) string {
	var parts []string
	for _, o := range server.Overrides {
		parts = append(parts, o.String())
	}
	if len(parts) == 0 {
		parts = append(parts, "as configured")
	}
	text := fmt.Sprintf("%s %s: %s", server.Service, server.Real, strings.Join(parts, ", "))
	if !server.Changed {
		text += ", as before"
	}
	switch {
	case !server.Master:
		text += "; this node does not have the address"
	case server.Loaded == 0:
		text += "; not in the kernel"
	default:
		text += fmt.Sprintf("; in the kernel with weight %d, %d active and %d inactive connections", server.Weight, server.Active, server.Inactive)
	}
	return text
}

func newDrain(s *settings) *cobra.Command {
	var timeout time.Duration
	var noWait bool
	cmd := &cobra.Command{
		Use:   "drain SERVICE REAL",
		Short: "Take a real server out of its service once its connections have ended",
		Long: `Give a real server no new connections, wait until those that it has end, and take
it out. Persistence does not keep clients there. The drain goes on if this
command is interrupted, and holds over restarts and reloads until
` + "`haldir undrain`" + `. It is an order to this node alone: give it to the other
director too, or a takeover brings the server back.

Exit status 0: the server is out, and no connection was cut. 1: connections
were cut at the deadline, or the drain was ended by somebody else.`,
		Example: "  haldir drain web 192.0.2.11 --reason 'new kernel'\n  haldir drain web 192.0.2.11 --timeout 1h --no-wait",
		Args:    cobra.ExactArgs(2),
	}
	reason := s.addOrder(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "when connections that are left are cut (default: drain of the service; below 0: never)")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "give the order and return")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		order := control.Order{Action: "drain", Service: args[0], Real: args[1], Reason: *reason, Timeout: control.Of(timeout)}
		if noWait {
			return s.order(cmd.Context(), order)
		}
		return s.drain(cmd.Context(), order)
	}
	return cmd
}

// drain gives the order and watches its connections end.
func (s *settings) drain(ctx context.Context, order control.Order) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	server, err := s.give(ctx, order)
	if err != nil {
		return problem(err)
	}
	screen := newProgress(s.stderr)
	most := server.Active + server.Inactive
	for {
		d := server.Draining()
		if d == nil {
			screen.end()
			return problem(fmt.Errorf("the drain of %s %s was ended by somebody else", server.Service, server.Real))
		}
		if !server.Master || !d.Ended.IsZero() {
			screen.end()
			return s.drained(server, *d)
		}
		most = max(most, server.Active+server.Inactive)
		screen.show(describeDrain(server, *d, most))
		select {
		case <-ctx.Done():
			screen.end()
			return problem(fmt.Errorf("interrupted; %s %s goes on draining: haldir undrain takes it back", server.Service, server.Real))
		case <-time.After(drainPoll):
		}
		bounded, cancel := context.WithTimeout(ctx, clientBound)
		next, err := s.client().Server(bounded, order.Service, order.Real)
		cancel()
		switch {
		case err == nil:
			server = next
		case ctx.Err() == nil:
			screen.end()
			return problem(fmt.Errorf("%w (the drain goes on where haldir runs)", err))
		}
	}
}

// drained says how a drain went.
func (s *settings) drained(server control.Server, d control.Override) error {
	if s.json {
		if err := printJSON(s.stdout, server); err != nil {
			return problem(err)
		}
	}
	say := func(format string, args ...any) {
		if !s.json {
			fmt.Fprintf(s.stdout, "%s %s: "+format+"\n", append([]any{server.Service, server.Real}, args...)...)
		}
	}
	switch {
	case d.Ended.IsZero():
		say("no new connections from now on; this node does not have the address, so there are none to wait for")
	case d.Left > 0:
		say("out after %s; %s cut", short(d.Ended.Sub(d.At)), count(int(d.Left), "connection"))
		return &statusError{code: exitProblem}
	default:
		say("out after %s; no connection was cut", short(d.Ended.Sub(d.At)))
	}
	return nil
}

// describeDrain is one line about a drain that goes on. most is the largest number
// of connections that was seen.
func describeDrain(server control.Server, d control.Override, most uint32) string {
	const width = 20
	now := server.Active + server.Inactive
	done := width
	if most > 0 {
		done = int(uint64(width) * uint64(most-now) / uint64(most))
	}
	left := "no deadline"
	if !d.Until.IsZero() {
		left = short(max(0, d.Until.Sub(server.At))) + " left"
	}
	return fmt.Sprintf("draining %s %s [%s%s] %d active, %d inactive, %s", server.Service, server.Real,
		strings.Repeat("=", done), strings.Repeat(" ", width-done), server.Active, server.Inactive, left)
}

// progress is a line that is redrawn on a terminal. Elsewhere it says nothing.
type progress struct {
	w     io.Writer
	shown bool
}

func newProgress(w io.Writer) *progress {
	if !terminal(w) {
		w = nil
	}
	return &progress{w: w}
}

func (p *progress) show(line string) {
	if p.w != nil {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
		p.shown = true
	}
}

func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// renderOverride says what holds, by whom and why.
func renderOverride(o control.Override, now time.Time) string {
	text := fmt.Sprintf("%s by %s %s ago", o, o.By, age(o.At, now))
	if o.What == control.OverrideDrain && o.Ended.IsZero() && !o.Until.IsZero() {
		text += ", at most " + short(max(0, o.Until.Sub(now))) + " longer"
	}
	if o.Left > 0 {
		text += fmt.Sprintf(", %s cut", count(int(o.Left), "connection"))
	}
	if o.Reason != "" {
		text += fmt.Sprintf(" (%s)", o.Reason)
	}
	return text
}

func renderLeaving(b *strings.Builder, leaving []control.LeavingStatus, now time.Time, p paint) {
	for _, l := range leaving {
		fmt.Fprintf(b, "  %-21s %s active %-6d inactive %-6d %s\n", l.Address, p.middle(fmt.Sprintf("%-9s", "leaving")), l.Active, l.Inactive,
			p.faint(fmt.Sprintf("for %s, cut in %s", age(l.Since, now), short(max(0, l.Until.Sub(now))))))
	}
}
