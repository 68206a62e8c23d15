package healthcheck

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// onceLimit bounds the checks that Once has under way.
const onceLimit = 256

// Once checks each target one time, many at a time, and tells each result as it
// comes, one after the other. It returns when all are told, or with the error of
// ctx.
func Once(ctx context.Context, targets []Target, log *slog.Logger, tell func(t Target, r Result, took time.Duration)) error {
	runner := NewRunner(nil, log) // for its cache and its guard
	var told sync.Mutex
	var all sync.WaitGroup
	slots := make(chan struct{}, onceLimit)
	for _, t := range targets {
		check, err := runner.prepare(t)
		if err != nil {
			told.Lock()
			tell(t, Result{Outcome: Inconclusive, Reason: ReasonInvalid, Detail: err.Error()}, 0)
			told.Unlock()
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			all.Wait()
			return ctx.Err()
		}
		all.Go(func() {
			defer func() { <-slots }()
			bounded, cancel := context.WithTimeout(ctx, t.Timeout)
			defer cancel()
			begun := time.Now()
			r := runner.guarded(bounded, begun, check, t)
			took := time.Since(begun)
			told.Lock()
			defer told.Unlock()
			if ctx.Err() == nil {
				tell(t, r, took)
			}
		})
	}
	all.Wait()
	return ctx.Err()
}
