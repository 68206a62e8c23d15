package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/control"
)

// watchEvery is how often status --watch redraws.
const watchEvery = time.Second

func newStatus(s *settings) *cobra.Command {
	var watch bool
	var real string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "The truth about this node, with its age",
		Long: `Print role and since when, priority and why, the peer's last advert and its age,
virtual addresses, services, and real servers with health, weight and
connections, as read from kernel and wire at this moment.

Exit status 0: all is well. 1: something is not, or the daemon does not run.`,
		Example: "  haldir status\n  haldir status --watch\n  haldir status --json\n  haldir status --real 192.0.2.11",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if real != "" {
				return s.checks(cmd.Context(), real)
			}
			if watch {
				return s.watch(cmd.Context())
			}
			return s.status(cmd.Context())
		},
	}
	s.addSocket(cmd)
	s.addJSON(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "redraw every second until interrupted")
	cmd.Flags().StringVar(&real, "real", "", "show the checks of one real server, an address with or without a port, with their recent results")
	cmd.MarkFlagsMutuallyExclusive("watch", "json")
	cmd.MarkFlagsMutuallyExclusive("watch", "real")
	return cmd
}

func (s *settings) status(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clientBound)
	defer cancel()
	status, err := s.client().Status(ctx)
	if err != nil {
		return problem(err)
	}
	if s.json {
		err = printJSON(s.stdout, status)
	} else {
		_, err = io.WriteString(s.stdout, renderStatus(status, palette(colourful(s.stdout))))
	}
	if err != nil {
		return problem(err)
	}
	if len(status.Problems) > 0 || len(status.Unknown) > 0 {
		return &statusError{code: exitProblem}
	}
	return nil
}

func (s *settings) watch(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	paint := palette(colourful(s.stdout))
	for {
		var screen strings.Builder
		if terminal(s.stdout) {
			screen.WriteString("\x1b[H\x1b[2J")
		}
		bounded, cancel := context.WithTimeout(ctx, clientBound)
		status, err := s.client().Status(bounded)
		cancel()
		if err != nil {
			fmt.Fprintf(&screen, "%s\n", paint.bad(err.Error()))
		} else {
			screen.WriteString(renderStatus(status, paint))
		}
		if _, err := io.WriteString(s.stdout, screen.String()); err != nil {
			return problem(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// paint colours text, or leaves it as it is.
type paint bool

func palette(coloured bool) paint { return paint(coloured) }

func (p paint) with(code, text string) string {
	if !p {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p paint) good(text string) string   { return p.with("32", text) }
func (p paint) bad(text string) string    { return p.with("31;1", text) }
func (p paint) middle(text string) string { return p.with("33", text) }
func (p paint) head(text string) string   { return p.with("1", text) }
func (p paint) faint(text string) string  { return p.with("2", text) }

// renderStatus is a pure function of its arguments.
func renderStatus(s control.Status, p paint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", p.head(s.Node), p.faint(fmt.Sprintf("haldir %s, %s, configuration %.8s of %s",
		s.Release, s.At.Format(time.RFC3339), s.Config.Digest, s.Config.Loaded.Format(time.RFC3339))))
	if m := s.Maintenance; m != nil {
		fmt.Fprintf(&b, "%s for %s, by %s%s: this node does not become master\n",
			p.middle("MAINTENANCE"), age(m.Since, s.At), m.By, because(m.Reason))
	}
	for _, r := range s.Routers {
		renderRouter(&b, r, s.At, p)
	}
	for _, g := range s.Groups {
		fmt.Fprintf(&b, "\n%s %s\n", p.head(g.Name), p.faint("sync group of "+strings.Join(g.Members, ", ")))
		renderNotified(&b, g.Notified, s.At, p)
	}
	for _, service := range s.Services {
		renderService(&b, service, s.At, p)
	}
	for _, d := range s.Directors {
		renderDirector(&b, d, p)
	}
	renderSync(&b, s.Sync, p)
	renderDrift(&b, s.Drift, p)
	for _, removed := range s.Removed {
		fmt.Fprintf(&b, "\nservice %s %s\n", removed.Service, p.middle("is not configured any more"))
		renderLeaving(&b, removed.Leaving, s.At, p)
	}
	for _, key := range s.Foreign {
		fmt.Fprintf(&b, "\nservice %s %s\n", key, p.faint("is not haldir's: left alone"))
	}
	b.WriteByte('\n')
	for _, process := range s.Processes {
		renderProcess(&b, process, s.At, p)
	}
	for _, line := range s.Unknown {
		fmt.Fprintf(&b, "%s %s\n", p.middle("unknown"), line)
	}
	for _, line := range s.Problems {
		fmt.Fprintf(&b, "%s %s\n", p.bad("problem"), line)
	}
	return b.String()
}

func renderVirtualMAC(b *strings.Builder, m *control.VirtualMAC, p paint) {
	if m == nil {
		return
	}
	state := p.middle("unknown")
	switch {
	case m.Up == nil:
	case m.MAC == "":
		state = p.bad("not there")
	case *m.Up:
		state = p.good("up")
	default:
		state = p.faint("down, silent")
	}
	fmt.Fprintf(b, "  virtual MAC %s on %s %s\n", cmp.Or(m.MAC, "-"), m.Interface, state)
}

func renderRouter(b *strings.Builder, r control.RouterStatus, now time.Time, p paint) {
	state := strings.ToUpper(r.State)
	switch r.State {
	case "master":
		state = p.good(state)
	case "backup":
		state = p.middle(state)
	default:
		state = p.bad(state)
	}
	why := ""
	if r.Reason != "" {
		why = " (" + r.Reason + ")"
	}
	fmt.Fprintf(b, "\n%s %s for %s%s  %s\n", p.head(r.Name), state, age(r.Since, now), why,
		p.faint(fmt.Sprintf("%s vrid %d, %s, advert every %s", r.Interface, r.VRID, priorityOf(r), r.Interval.Duration())))
	if r.Ceded {
		fmt.Fprintf(b, "  %s\n", p.middle("handed over on request: takes over only if the master falls silent or hands back"))
	}
	if peer := r.Peer; peer != nil {
		fmt.Fprintf(b, "  peer %s, priority %d, last advert %s ago\n", peer.Address, peer.Priority, short(peer.Age.Duration()))
	} else {
		fmt.Fprintf(b, "  %s\n", p.faint("no advert of a peer was heard yet"))
	}
	renderVirtualMAC(b, r.VirtualMAC, p)
	for _, a := range r.Addresses {
		where := p.faint("not here")
		switch {
		case a.Present == nil:
			where = p.middle("unknown")
		case *a.Present && a.Ours:
			where = p.good("here")
		case *a.Present:
			where = p.middle("here, put there by somebody else")
		}
		fmt.Fprintf(b, "  %-22s %s", a.Address, where)
		if a.Extra {
			fmt.Fprintf(b, "%s", p.faint(" on "+a.Interface+", not advertised"))
		}
		if !a.Announced.IsZero() && a.Present != nil && *a.Present {
			fmt.Fprintf(b, "%s", p.faint(", announced "+age(a.Announced, now)+" ago"))
		}
		b.WriteByte('\n')
	}
	for _, t := range r.Trackers {
		renderTracker(b, t, now, p)
	}
	renderNotified(b, r.Notified, now, p)
}

// priorityOf says the effective priority, and the configured one if that differs.
func priorityOf(r control.RouterStatus) string {
	if r.BasePriority == 0 || r.BasePriority == r.Priority {
		return fmt.Sprintf("priority %d", r.Priority)
	}
	return fmt.Sprintf("priority %d of %d (%s)", r.Priority, r.BasePriority, cmp.Or(r.PriorityReason, "reason unknown"))
}

func renderService(b *strings.Builder, s control.ServiceStatus, now time.Time, p paint) {
	loaded := p.faint("not loaded")
	switch {
	case s.Loaded == nil:
		loaded = p.middle("unknown whether loaded")
	case *s.Loaded:
		loaded = p.good("loaded")
	}
	fmt.Fprintf(b, "\n%s %s %s %s, %s, %s", p.head(s.Name), s.Protocol, s.Listen, s.Forward, s.Scheduler, loaded)
	if s.Stats != nil {
		fmt.Fprintf(b, "%s", p.faint(fmt.Sprintf(", %d connections so far", s.Stats.Connections)))
	}
	b.WriteByte('\n')
	switch pool := s.Pool; pool.State {
	case "ok", "undecided", "":
	default:
		fmt.Fprintf(b, "  %s %s\n", p.bad(pool.State), p.faint(fmt.Sprintf("weight %v of %v is up, quorum %d", pool.Up, pool.All, pool.Quorum)))
	}
	for _, r := range s.Real {
		renderReal(b, r, now, p)
	}
	if s.Sorry != nil {
		sorry := *s.Sorry
		sorry.Health = "sorry"
		renderReal(b, sorry, now, p)
	}
	renderLeaving(b, s.Leaving, now, p)
}

func renderReal(b *strings.Builder, r control.RealStatus, now time.Time, p paint) {
	health := fmt.Sprintf("%-9s", r.Health)
	switch r.Health {
	case "up":
		health = p.good(health)
	case "down":
		health = p.bad(health)
	default:
		health = p.middle(health)
	}
	weight := "-"
	if r.Weight != nil {
		weight = fmt.Sprint(*r.Weight)
	}
	fmt.Fprintf(b, "  %-21s %s weight %-5s active %-6d inactive ", r.Address, health, weight, r.Active)
	var notes []string
	for _, o := range r.Overrides {
		notes = append(notes, renderOverride(o, now))
	}
	if r.Rising > 0 {
		notes = append(notes, fmt.Sprintf("rising to weight %d", r.Rising))
	}
	if r.Checked != nil {
		notes = append(notes, "checked "+short(r.Checked.Duration())+" ago")
	}
	if r.Health == "down" {
		notes = append(notes, r.Reason, r.Detail, "since "+age(r.HealthSince, now))
	}
	if r.Warning && r.Health != "down" {
		notes = append(notes, r.Reason, r.Detail)
	}
	if r.Stale {
		notes = append(notes, "stale")
	}
	if text := strings.Join(slicesWithout(notes, ""), ", "); text != "" {
		fmt.Fprintf(b, "%-6d %s\n", r.Inactive, p.faint(text))
	} else {
		fmt.Fprintf(b, "%d\n", r.Inactive)
	}
}

func renderProcess(b *strings.Builder, c control.ProcessStatus, now time.Time, p paint) {
	state := p.good(fmt.Sprintf("pid %d", c.PID))
	if c.PID == 0 {
		state = p.bad("not running")
	}
	fmt.Fprintf(b, "%-10s %s for %s", c.Role, state, age(c.Since, now))
	if c.Restarts > 0 || c.LastExit != "" {
		fmt.Fprintf(b, ", restarted %s (last exit: %s", times(c.Restarts), c.LastExit)
		if c.Down > 0 {
			fmt.Fprintf(b, ", was down for %s", short(c.Down.Duration()))
		}
		b.WriteByte(')')
	}
	if c.Scheduling != "" && c.PID != 0 {
		fmt.Fprintf(b, "  %s", p.faint(c.Scheduling))
	}
	b.WriteByte('\n')
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", reason)
}

func times(n int) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func slicesWithout(list []string, drop string) []string {
	var kept []string
	for _, s := range list {
		if s != drop {
			kept = append(kept, s)
		}
	}
	return kept
}

// age says how long ago an instant was.
func age(then, now time.Time) string {
	if then.IsZero() {
		return "an unknown time"
	}
	return short(now.Sub(then))
}

// short cuts a duration down to what a person reads.
func short(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Truncate(time.Millisecond).String()
	case d < time.Minute:
		return d.Truncate(100 * time.Millisecond).String()
	case d < day:
		text := d.Truncate(time.Second).String()
		if whole, ok := strings.CutSuffix(text, "m0s"); ok {
			text = whole + "m"
		}
		if whole, ok := strings.CutSuffix(text, "h0m"); ok {
			text = whole + "h"
		}
		return text
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}
