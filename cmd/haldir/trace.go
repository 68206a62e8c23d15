package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/doctor"
	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/internal/trace"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
)

// traceFlags are the flags of haldir trace.
type traceFlags struct {
	protocol string
	live     bool
	count    int
	wait     time.Duration
}

const (
	// ownerWait is how long the segment is asked for the address.
	ownerWait = 500 * time.Millisecond
	// tableBound is how long the connection table is read at most.
	tableBound = 10 * time.Second
)

func newTrace(s *settings) *cobra.Command {
	f := traceFlags{}
	cmd := &cobra.Command{
		Use:   "trace CLIENT ADDRESS:PORT",
		Short: "Tell the whole journey of a client's packet, or capture it",
		Long: `Tell the whole journey of a packet from a client to a virtual address: which
director takes it, which service matches, which real server gets it and why, the
MAC and IP addresses at each hop, what the real server must have, and by which way
the answer goes. Run it on the master, whose kernel decides. CLIENT is an address,
for a new connection, or an address and port, for one that may exist.

With --live it captures the client's frames on this host's interfaces instead.

Exit status 0: the packet arrives, or frames were seen. 1: it does not, or none.`,
		Example: "  haldir trace 198.51.100.7 192.0.2.100:80\n  haldir trace 198.51.100.7:40123 192.0.2.100:80\n  haldir trace 198.51.100.7 192.0.2.100:80 --live",
		Args:    cobra.ExactArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return s.trace(cmd, args[0], args[1], f) },
	}
	s.addConfig(cmd)
	s.addSocket(cmd)
	s.addJSON(cmd)
	cmd.Flags().StringVar(&f.protocol, "protocol", "tcp", "tcp, udp or sctp")
	cmd.Flags().BoolVar(&f.live, "live", false, "capture the client's next frames on this host's interfaces, one line each")
	cmd.Flags().IntVar(&f.count, "count", 10, "with --live: end after so many frames, 1 to 10000")
	cmd.Flags().DurationVar(&f.wait, "timeout", 30*time.Second, "with --live: end after so long, 1s to 1h")
	return cmd
}

func (s *settings) trace(cmd *cobra.Command, client, target string, f traceFlags) error {
	var in trace.Input
	var err error
	if in.Client, in.Target, in.Protocol, err = parseTrace(client, target, f); err != nil {
		return usage(err)
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var unknown []facts.Unknown
	in.Input, unknown, err = s.readPatient(ctx, cmd.Flags().Changed("config"), in.Client.Addr(), in.Target.Addr())
	if err != nil {
		return usage(err)
	}
	in.Directory = doctor.NewDirectory(in.Input)
	unknown = append(unknown, lookForOwner(ctx, &in)...)
	connections, err := connectionsOf(ctx, in)
	if err != nil {
		unknown = append(unknown, facts.Unknown{What: "the connection table", Reason: err.Error()})
	}
	in.Connections = connections
	journey := trace.Predict(in)
	for _, u := range slices.Concat(unknown, in.Host.Unknown) {
		journey.Unknown = append(journey.Unknown, u.What+": "+u.Reason)
	}
	if f.live {
		return s.traceLive(ctx, in, journey, f)
	}
	if s.json {
		err = printJSON(s.stdout, journey)
	} else {
		_, err = io.WriteString(s.stdout, renderJourney(journey, palette(colourful(s.stdout))))
	}
	if err != nil {
		return problem(err)
	}
	if journey.Ends != "" {
		return &statusError{code: exitProblem}
	}
	return nil
}

func parseTrace(client, target string, f traceFlags) (from, to netip.AddrPort, protocol ipvsctl.Protocol, err error) {
	if protocol, err = ipvsctl.ParseProtocol(f.protocol); err != nil {
		return from, to, 0, err
	}
	if addr, err := netip.ParseAddr(client); err == nil {
		from = netip.AddrPortFrom(addr, 0)
	} else if from, err = netip.ParseAddrPort(client); err != nil {
		return from, to, 0, fmt.Errorf("%q is neither an address nor an address and port", client)
	}
	if to, err = netip.ParseAddrPort(target); err != nil || to.Port() == 0 {
		return from, to, 0, fmt.Errorf(`%q is no address and port, as in "192.0.2.100:80"`, target)
	}
	from, to = netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	switch {
	case from.Addr().Is4() != to.Addr().Is4():
		return from, to, 0, fmt.Errorf("%s and %s are of two families", from.Addr(), to.Addr())
	case f.count < 1 || f.count > 10000:
		return from, to, 0, fmt.Errorf("--count %d: legal is 1 to 10000", f.count)
	case f.wait < time.Second || f.wait > time.Hour:
		return from, to, 0, fmt.Errorf("--timeout %s: legal is 1s to 1h", f.wait)
	}
	return from, to, protocol, nil
}

// lookForOwner asks the segment for the virtual address where this host does not
// answer for it.
func lookForOwner(ctx context.Context, in *trace.Input) []facts.Unknown {
	for _, a := range in.Host.Has(in.Target.Addr()) {
		if link, ok := in.Host.Link(a.Interface); ok && !link.Loopback && !link.NoARP {
			return nil
		}
	}
	name, err := segmentOf(in.Host, in.Target.Addr(), "")
	if err != nil {
		return []facts.Unknown{{What: "who answers for " + in.Target.Addr().String(), Reason: err.Error()}}
	}
	a := asker{host: in.Host, directory: in.Directory, question: arp.Question{Interface: name, Address: in.Target.Addr(), Wait: ownerWait}}
	a.findMachines(ctx)
	in.Segment = facts.LookAround(ctx, facts.Look{Ask: []facts.Question{{Interface: name, Address: in.Target.Addr()}}, For: ownerWait})
	return in.Segment.Unknown
}

// connectionsOf reads what the connection table has of the client, and the
// templates for the target.
func connectionsOf(ctx context.Context, in trace.Input) ([]ipvsctl.Connection, error) {
	if !in.Host.HasIPVS {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, tableBound)
	defer cancel()
	var list []ipvsctl.Connection
	err := ipvsnl.Connections(ctx, func(c ipvsctl.Connection) bool {
		if c.Virtual.Addr() == in.Target.Addr() && (c.Template() || c.Client.Addr() == in.Client.Addr()) {
			list = append(list, c)
		}
		return true
	})
	return list, err
}

// traceLive prints the client's frames as they pass.
func (s *settings) traceLive(ctx context.Context, in trace.Input, journey trace.Journey, f traceFlags) error {
	w := trace.Watch{Client: in.Client, Ends: []netip.AddrPort{in.Target}, Protocol: uint8(in.Protocol)}
	if journey.Choice != nil {
		for _, c := range journey.Choice.Candidates {
			w.Ends = append(w.Ends, c.Real)
		}
	}
	for _, l := range in.Host.Links {
		if l.Up && !l.Loopback && len(l.MAC) == 6 && l.Master == 0 {
			w.Interfaces = append(w.Interfaces, l.Name)
		}
	}
	if len(w.Interfaces) == 0 {
		return problem(errors.New("this host has no interface to capture on"))
	}
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	seen := 0
	var failure error
	ready := func() {
		if !s.json {
			fmt.Fprintf(s.stderr, "capturing on %s\n", strings.Join(w.Interfaces, ", "))
		}
	}
	err := trace.Capture(ctx, w, in.Directory, ready, func(frame trace.Frame) bool {
		seen++
		if s.json {
			failure = json.NewEncoder(s.stdout).Encode(frame)
		} else {
			_, failure = io.WriteString(s.stdout, renderFrame(frame, palette(colourful(s.stdout))))
		}
		return failure == nil && seen < f.count
	})
	if err = errors.Join(err, failure); err != nil {
		return problem(err)
	}
	if seen == 0 {
		return problem(fmt.Errorf("no frame of %s to %s passed", in.Client.Addr(), in.Target))
	}
	return nil
}

// renderFrame is one line for a frame.
func renderFrame(f trace.Frame, p paint) string {
	direction := "in "
	if f.Out {
		direction = "out"
	}
	line := fmt.Sprintf("%s %s %s  %s -> %s  ", f.At.Format("15:04:05.000000"), f.Interface, direction,
		station{MAC: f.SourceMAC, Name: f.From}.named(), station{MAC: f.DestinationMAC, Name: f.To}.named())
	if f.Outer != nil {
		line += fmt.Sprintf("[%s -> %s] ", f.Outer.Source, f.Outer.Destination)
	}
	line += p.head(fmt.Sprintf("%s -> %s", f.Source, f.Destination))
	if f.Flags != "" {
		line += "  " + f.Flags
	}
	return line + "  " + p.faint(fmt.Sprintf("%d bytes", f.Length)) + "\n"
}

func (s station) named() string { return s.MAC + s.inParentheses() }

// endpoint is an address, with its port where there is one.
func endpoint(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

// renderJourney is a pure function of its arguments.
func renderJourney(j trace.Journey, p paint) string {
	var b strings.Builder
	line := func(head, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", head, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s\n\n", p.head(fmt.Sprintf("%s %s -> %s", j.Protocol, endpoint(j.Client), j.Target)))
	if j.Director != "" {
		line("director", "%s answers for %s", j.Director, j.Target.Addr())
	}
	if s := j.Service; s != nil {
		name := ""
		if s.Name != "" {
			name = " (" + s.Name + ")"
		}
		line("service", "%s%s, %s, as %s has it", s.Match, name, s.Scheduler, s.From)
	}
	if c := j.Choice; c != nil {
		chosen := "not known"
		if c.Real.IsValid() {
			chosen = p.good(c.Real.String())
		}
		line("real server", "%s, by the %s: %s", chosen, c.By, c.Why)
		for _, candidate := range c.Candidates {
			text := fmt.Sprintf("%-21s %s  weight %d  active %d  inactive %d", candidate.Real, candidate.Forward, candidate.Weight, candidate.Active, candidate.Inactive)
			if candidate.Out != "" {
				text = p.faint(text + "  out: " + candidate.Out)
			}
			line("", "%s", text)
		}
	}
	if len(j.Hops) > 0 {
		b.WriteByte('\n')
	}
	for i, hop := range j.Hops {
		line(fmt.Sprintf("hop %d", i+1), "%s -> %s", hop.From, hop.To)
		line("", "MAC %s -> %s", orUnknown(hop.SourceMAC), orUnknown(hop.DestinationMAC))
		if hop.Outer != nil {
			line("", "outer IP %s -> %s", hop.Outer.Source, hop.Outer.Destination)
		}
		line("", "IP %s -> %s", endpoint(hop.Source), endpoint(hop.Destination))
		if hop.Note != "" {
			line("", "%s", p.faint(hop.Note))
		}
	}
	if len(j.Hops) > 0 {
		b.WriteByte('\n')
	}
	if j.Reply != "" {
		line("answer", "%s", j.Reply)
	}
	for i, need := range j.Needs {
		line([]string{"it needs", ""}[min(i, 1)], "%s", need)
	}
	for _, u := range j.Unknown {
		line(p.middle("unknown"), "%s", u)
	}
	if j.Ends != "" {
		line(p.bad("ends"), "%s", j.Ends)
	}
	return b.String()
}

func orUnknown(mac string) string {
	if mac == "" {
		return "unknown"
	}
	return mac
}
