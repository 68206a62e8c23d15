package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/director"
)

func newCheck(s *settings) *cobra.Command {
	var probe bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether the configuration is right, and what it would do",
		Long: `Say whether the configuration is right: every error with file, line and column,
all of them in one run. If it is right, say what would happen on each node:
priorities, who is master, and how long a failover takes by the timers.
With --director also what haldir run would demand of this host.
With --probe every health check is made once, from this host, and the table says
which real servers would be in the pools now, and why others would not.

Exit status 0: it is right. 1: a real server would not be in its pool. 2: the
configuration is wrong.`,
		Example: "  haldir check\n  haldir check -c ./haldir.toml --json\n  haldir check --probe",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.check(cmd.Context(), probe) },
	}
	s.addConfig(cmd)
	s.addJSON(cmd)
	cmd.Flags().BoolVar(&s.director, "director", false, "check for a director on this host: its interfaces exist, its name is listed")
	cmd.Flags().BoolVar(&probe, "probe", false, "make every health check once and say who would be in the pools")
	return cmd
}

// checkReport is the JSON form of a check.
type checkReport struct {
	Right    bool              `json:"right"`
	Errors   []checkDiagnostic `json:"errors"`
	Warnings []checkDiagnostic `json:"warnings"`
	Digest   string            `json:"digest,omitempty"`
	Timers   []config.Preview  `json:"timers,omitempty"`
	// Pools has every real server of every listener, with --probe.
	Pools []director.Candidate `json:"pools,omitempty"`
}

type checkDiagnostic struct {
	File       string `json:"file"`
	Line       int    `json:"line,omitempty"`
	Column     int    `json:"column,omitempty"`
	Path       string `json:"path,omitempty"`
	Value      string `json:"value,omitempty"`
	Message    string `json:"message"`
	Legal      string `json:"legal,omitempty"`
	Suggestion string `json:"suggestion,omitempty"`
}

func (s *settings) check(ctx context.Context, probe bool) error {
	cfg, err := s.load(s.director)
	var wrong config.Diagnostics
	if err != nil && !errors.As(err, &wrong) {
		return usage(err)
	}
	var pools []director.Candidate
	if err == nil && probe {
		var broken error
		if pools, broken = s.probe(ctx, cfg); broken != nil {
			return problem(fmt.Errorf("making every check: %w", broken))
		}
	}
	if s.json {
		report := checkReport{Right: err == nil, Errors: diagnostics(wrong), Warnings: []checkDiagnostic{}}
		if err == nil {
			report.Warnings, report.Digest, report.Timers = diagnostics(cfg.Warnings), cfg.Digest, cfg.Preview()
			report.Pools = pools
		}
		if err := printJSON(s.stdout, report); err != nil {
			return problem(err)
		}
	} else if err == nil {
		printCheck(s.stdout, cfg)
		printPools(s.stdout, pools, palette(colourful(s.stdout)))
	} else {
		fmt.Fprintln(s.stderr, err)
		fmt.Fprintf(s.stderr, "%s\n", count(len(wrong), "error"))
	}
	if err != nil {
		return &statusError{code: exitUsage}
	}
	if slices.ContainsFunc(pools, func(c director.Candidate) bool { return !c.In() }) {
		return &statusError{code: exitProblem}
	}
	return nil
}

func diagnostics(list config.Diagnostics) []checkDiagnostic {
	out := make([]checkDiagnostic, len(list))
	for i, d := range list {
		out[i] = checkDiagnostic{d.File, d.Line, d.Column, d.Path, d.Value, d.Message, d.Legal, d.Suggestion}
	}
	return out
}

func printCheck(w io.Writer, cfg *config.Config) {
	for _, warning := range cfg.Warnings {
		fmt.Fprintf(w, "warning: %v\n", warning)
	}
	fmt.Fprintf(w, "The configuration is right: %s, %s.\n", count(len(cfg.VRRP), "virtual router"), count(len(cfg.Services), "service"))
	for _, p := range cfg.Preview() {
		fmt.Fprintf(w, "\nvirtual router %q, an advert every %v\n", p.VRRP, p.Interval)
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "  node\tpriority\tif it dies\tif it hands over")
		for _, n := range p.Nodes {
			name := n.Node
			if name == "" {
				name = "(every node)"
			}
			if !n.Takes {
				fmt.Fprintf(table, "  %s\t%d\tnobody takes over\t\n", name, n.Priority)
				continue
			}
			taker := n.Taker
			if taker == "" {
				taker = "the one with the higher address"
			}
			fmt.Fprintf(table, "  %s\t%d\t%s takes over within %v\t%s takes over within %v\n",
				name, n.Priority, taker, milliseconds(n.Crash), taker, milliseconds(n.Planned))
		}
		_ = table.Flush()
		printStakes(w, p)
		switch {
		case p.Winner == "":
			fmt.Fprintln(w, "  With all of them alive, the higher source address is master.")
		case p.Preempt:
			fmt.Fprintf(w, "  With all of them alive, %s is master.\n", p.Winner)
		default:
			fmt.Fprintf(w, "  With all of them alive, the master stays; %s wins an election.\n", p.Winner)
		}
	}
}

// printStakes says what trackers can do to the priorities.
func printStakes(w io.Writer, p config.Preview) {
	if len(p.Nodes[0].Stakes.Worst) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  node\tbase\tby trackers\tif down")
	for _, n := range p.Nodes {
		s := n.Stakes
		reach := fmt.Sprintf("%d..%d", s.Low, s.High)
		if s.Low == s.High {
			reach = fmt.Sprint(s.Low)
		}
		if s.Out {
			reach += ", or out"
		}
		effects := make([]string, len(s.Worst))
		for i, t := range s.Worst {
			effects[i] = t.Tracker + ": " + t.Effect
		}
		fmt.Fprintf(table, "  %s\t%d\t%s\t%s\n", cmp.Or(n.Node, "(every node)"), n.Priority, reach, strings.Join(effects, "; "))
	}
	_ = table.Flush()
}

// milliseconds rounds up: a promise must not be shorter than the timers.
func milliseconds(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
