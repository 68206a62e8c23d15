// Package checker is the process that checks real servers: it drives a
// healthcheck.Runner by the director's messages and sends back its verdicts. It
// may die at any time; the director keeps the last verdicts and gives them to
// the successor.
package checker

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/internal/track"
)

// Run checks until ctx ends.
func Run(ctx context.Context, director process.Link, log *slog.Logger) error {
	s := &server{director: director, log: log}
	s.runner = healthcheck.NewRunner(func(v healthcheck.Verdict) { s.send(KindVerdict, v.ID, v) }, log)
	s.runner.Digest(func(d healthcheck.Digest) { s.send(KindDigest, "", d) })
	s.runner.Extend(track.Types())
	loop, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.runner.Run(loop) }()

	// The hello asks the director for the targets.
	s.send(process.KindHello, "", process.NewHello())
	for {
		select {
		case err := <-ended:
			return err
		case m, ok := <-director.Receive():
			if !ok {
				cancel()
				<-ended
				return fmt.Errorf("receiving from the director: %w", process.ErrClosed)
			}
			if err := s.handle(loop, m); err != nil {
				log.Warn("message from the director refused", "kind", m.Kind, "error", err)
			}
		}
	}
}

type server struct {
	runner   *healthcheck.Runner
	director process.Link
	log      *slog.Logger
}

func (s *server) handle(ctx context.Context, m process.Message) error {
	switch m.Kind {
	case process.KindHello:
		list, err := s.runner.Snapshot(ctx)
		if err != nil {
			return fmt.Errorf("reading the verdicts: %w", err)
		}
		all := Verdicts{Verdicts: make(map[string]healthcheck.Verdict, len(list))}
		for _, v := range list {
			all.Verdicts[v.ID] = v
		}
		s.send(KindVerdicts, "", all)
	case KindTargets:
		var t Targets
		if err := m.Decode(&t); err != nil {
			return err
		}
		s.runner.Set(t.Targets, t.Known)
	case KindHistoryRequest:
		var request HistoryRequest
		if err := m.Decode(&request); err != nil {
			return err
		}
		records, err := s.runner.History(ctx, request.Targets)
		if err != nil {
			return fmt.Errorf("reading the history: %w", err)
		}
		s.send(KindHistory, strconv.FormatUint(request.ID, 10), History{ID: request.ID, Records: records})
	default:
		return fmt.Errorf("unknown kind %q", m.Kind)
	}
	return nil
}

func (s *server) send(kind, key string, body any) {
	if err := s.director.Send(kind, key, body); err != nil {
		s.log.Warn("telling the director", "kind", kind, "error", err)
	}
}
