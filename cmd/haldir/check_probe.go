package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/director"
)

// progressEvery is how often progress is told.
const progressEvery = 250 * time.Millisecond

// probe runs every check of a configuration once, from this host, and tells who
// would be in the pools.
func (s *settings) probe(ctx context.Context, cfg *config.Config) ([]director.Candidate, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	probes := director.NewProbes(cfg)
	here, elsewhere := probes.Here()
	health := make(map[string]healthcheck.Verdict)
	for _, t := range elsewhere {
		health[t.ID] = director.FirstVerdict(t, healthcheck.Result{
			Outcome: healthcheck.Inconclusive, Reason: healthcheck.ReasonCannot,
			Detail: "it goes through the IPVS of a running director: see haldir status there",
		}, 0)
	}
	progress := newTally(s.stderr, len(here))
	defer progress.end()
	log := slog.New(slog.NewTextHandler(s.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	err := healthcheck.Once(ctx, here, log, func(t healthcheck.Target, r healthcheck.Result, took time.Duration) {
		health[t.ID] = director.FirstVerdict(t, r, took)
		progress.one(r.Outcome == healthcheck.Fail, time.Now())
	})
	return director.Rehearse(cfg, probes, health), err
}

// tally tells how many checks are done: on a terminal in place, otherwise in
// lines, and nothing where all is over at once.
type tally struct {
	to           io.Writer
	inPlace      bool
	all          int
	done, failed int
	told         time.Time
}

func newTally(to io.Writer, all int) *tally {
	return &tally{to: to, inPlace: terminal(to), all: all, told: time.Now()}
}

func (p *tally) one(failed bool, now time.Time) {
	p.done++
	if failed {
		p.failed++
	}
	every := progressEvery
	if !p.inPlace {
		every *= 8
	}
	if now.Sub(p.told) < every {
		return
	}
	p.told = now
	text := fmt.Sprintf("%d of %s done, %d failed", p.done, count(p.all, "check"), p.failed)
	if p.inPlace {
		fmt.Fprintf(p.to, "\r%s\x1b[K", text)
	} else {
		fmt.Fprintln(p.to, text)
	}
}

func (p *tally) end() {
	if p.inPlace {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}

// printPools prints what a round of checks found, one table for each listener.
func printPools(w io.Writer, candidates []director.Candidate, p paint) {
	var table *tabwriter.Writer
	head := ""
	flush := func() {
		if table != nil {
			_ = table.Flush()
		}
	}
	for _, c := range candidates {
		if title := fmt.Sprintf("service %q at %s", c.Service, c.Listen); title != head {
			flush()
			head = title
			fmt.Fprintf(w, "\n%s\n", title)
			table = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		}
		verdict := p.good("in")
		switch {
		case c.Health == healthcheck.Down:
			verdict = p.bad("out")
		case !c.In():
			verdict = p.middle("unknown")
		}
		fmt.Fprintf(table, "  %s\t%s\tweight %d\t%s\n", c.Real, verdict, c.Weight, strings.Join(reasons(c), "; "))
	}
	flush()
}

// reasons says what each check of a candidate found.
func reasons(c director.Candidate) []string {
	if len(c.Checks) == 0 {
		return []string{"not checked"}
	}
	var out []string
	for _, check := range c.Checks {
		text := sentence(string(check.Reason), check.Detail)
		if check.Duration > 0 {
			text += fmt.Sprintf(" in %s", check.Duration.Round(10*time.Microsecond))
		}
		if len(c.Checks) > 1 {
			text = check.Target + ": " + text
		}
		if check.Warning && check.Health == healthcheck.Up {
			text = "warning: " + text
		}
		out = append(out, text)
	}
	return out
}
