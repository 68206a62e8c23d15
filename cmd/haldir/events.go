package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/journal"
)

const (
	// followWait is how long one request of --follow waits for news.
	followWait = 15 * time.Second
	// followAgain is the pause after a request that failed.
	followAgain = time.Second
)

func newEvents(s *settings) *cobra.Command {
	var since string
	var follow bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "The journal of this node: what happened, when, why, and who asked",
		Long: `Print what happened on this node, the oldest first: changes of role with their
reason, health, reloads, crashes of processes, second masters, addresses that
somebody else touched, and what operators asked for. The newest events survive
restarts.`,
		Example: "  haldir events\n  haldir events --since 1h\n  haldir events --since 2030-01-02T12:00:00Z --json\n  haldir events --follow",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return usage(err)
			}
			request := control.EventsRequest{Since: from}
			if follow {
				return s.follow(cmd.Context(), request)
			}
			return s.events(cmd.Context(), request)
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "only events since then: an age such as 90s or 1h, or a time such as 2030-01-02T12:00:00Z")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events until interrupted")
	s.addSocket(cmd)
	cmd.Flags().BoolVar(&s.json, "json", false, "print JSON, one event a line")
	return cmd
}

func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("--since %q is neither an age such as 90s or 1h nor a time such as 2030-01-02T12:00:00Z", text)
	}
	return at, nil
}

func (s *settings) events(ctx context.Context, request control.EventsRequest) error {
	ctx, cancel := context.WithTimeout(ctx, clientBound)
	defer cancel()
	result, err := s.client().Events(ctx, request)
	if err != nil {
		return problem(err)
	}
	return s.printEvents(result.Events)
}

// follow survives restarts of the daemon: IDs go on.
func (s *settings) follow(ctx context.Context, request control.EventsRequest) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	reached := false
	for {
		bounded, cancel := context.WithTimeout(ctx, clientBound)
		result, err := s.client().Events(bounded, request)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			reached = true
			request.Wait = followWait
			if err := s.printEvents(result.Events); err != nil {
				return err
			}
			if n := len(result.Events); n > 0 {
				request.After = result.Events[n-1].ID
			}
		case !reached || !errors.Is(err, control.ErrNotRunning):
			return problem(err)
		default:
			select {
			case <-ctx.Done():
			case <-time.After(followAgain):
			}
		}
	}
}

func (s *settings) printEvents(events []journal.Event) error {
	encoder := json.NewEncoder(s.stdout)
	for _, e := range events {
		var err error
		if s.json {
			err = encoder.Encode(e)
		} else {
			_, err = fmt.Fprintf(s.stdout, "%s  %s\n", e.At.Local().Format("2006-01-02 15:04:05.000"), e)
		}
		if err != nil {
			return problem(err)
		}
	}
	return nil
}
