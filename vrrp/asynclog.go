package vrrp

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// logQueueLen is how many log lines may wait for a slow log.
const logQueueLen = 256

// asyncHandler is a slog.Handler that never blocks: lines are written by another
// goroutine, and lost and counted when that cannot keep up.
type asyncHandler struct {
	next  slog.Handler
	queue chan slog.Record
	end   chan struct{}
	lost  atomic.Int64
}

func newAsyncHandler(next slog.Handler) *asyncHandler {
	return &asyncHandler{next: next, queue: make(chan slog.Record, logQueueLen), end: make(chan struct{})}
}

func (h *asyncHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *asyncHandler) Handle(_ context.Context, r slog.Record) error {
	select {
	case h.queue <- r.Clone():
	default:
		h.lost.Add(1)
	}
	return nil
}

// WithAttrs and WithGroup complete slog.Handler; the Speaker derives no loggers.
func (h *asyncHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *asyncHandler) WithGroup(string) slog.Handler      { return h }

// run writes lines until stop is called, and then those that are queued.
func (h *asyncHandler) run() {
	for {
		select {
		case r := <-h.queue:
			h.write(r)
		case <-h.end:
			for len(h.queue) > 0 {
				h.write(<-h.queue)
			}
			return
		}
	}
}

func (h *asyncHandler) write(r slog.Record) {
	if lost := h.lost.Swap(0); lost > 0 {
		r.AddAttrs(slog.Int64("lines_lost", lost))
	}
	_ = h.next.Handle(context.Background(), r) // nobody is left to tell
}

func (h *asyncHandler) stop() { close(h.end) }
