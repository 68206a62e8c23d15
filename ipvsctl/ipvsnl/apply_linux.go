package ipvsnl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// Apply implements ipvsctl.Handle. Up to 1,000 operations go to the kernel in
// one call.
func (h *Handle) Apply(ctx context.Context, ops []ipvsctl.Op) []error {
	if len(ops) == 0 {
		return nil
	}
	errs := make([]error, len(ops))
	err := h.transact(ctx, func(l *link) error { return l.apply(ctx, ops, errs) })
	failed := false
	for i := range errs {
		if errors.Is(errs[i], errPending) {
			errs[i] = fmt.Errorf("not tried: %w", err)
		}
		failed = failed || errs[i] != nil
	}
	if err != nil && !failed {
		// Nothing was begun.
		for i := range errs {
			errs[i] = fmt.Errorf("not tried: %w", err)
		}
		failed = true
	}
	if !failed {
		return nil
	}
	return errs
}

// errPending marks operations that were not sent.
var errPending = errors.New("pending")

// apply sends the operations in batches. It sets the error of each operation
// and returns an error if the link failed; what was not sent is errPending then.
func (l *link) apply(ctx context.Context, ops []ipvsctl.Op, errs []error) error {
	for i := range errs {
		errs[i] = errPending
	}
	batches, stop := l.encode(ops, errs)
	defer stop()
	for b := range batches {
		indices, requests := b.indices, b.requests
		verdicts := make([]error, len(requests))
		for i := range verdicts {
			verdicts[i] = errPending
		}
		err := l.send(ctx, requests, verdicts)
		complete, sent := err == nil, err == nil || wasSent(err)
		gone := false
		if complete {
			gone, err = l.familyGone(ctx, verdicts)
		}
		for i, op := range indices {
			switch v := verdicts[i]; {
			case v != nil && !errors.Is(v, errPending):
				errs[op] = verdict(&ops[op], v, gone)
			case complete:
				errs[op] = nil
			case sent:
				errs[op] = fmt.Errorf("%w: %w", ipvsctl.ErrOutcomeUnknown, err)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// batch is what goes out in one send.
type batch struct {
	indices  []int // of the operations
	requests [][]byte
}

// encode encodes the operations, each batch while the kernel is at work on the one
// before it, until the returned function is called. What cannot be encoded gets its
// error at once.
func (l *link) encode(ops []ipvsctl.Op, errs []error) (<-chan batch, func()) {
	batches, stop := make(chan batch), make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		defer close(batches)
		for begin := 0; begin < len(ops); {
			var b batch
			if b.indices, b.requests, begin = l.encodeBatch(ops, errs, begin); len(b.requests) == 0 {
				continue
			}
			select {
			case batches <- b:
			case <-stop:
				return
			}
		}
	})
	return batches, func() {
		close(stop)
		done.Wait()
	}
}

// encodeBatch encodes operations from begin on until the batch is full.
func (l *link) encodeBatch(ops []ipvsctl.Op, errs []error, begin int) (indices []int, requests [][]byte, end int) {
	const perRequest = 160 // typical, with the netlink header
	n := min(len(ops)-begin, l.batch)
	b := make(buffer, 0, n*perRequest)
	requests, indices = make([][]byte, 0, n), make([]int, 0, n)
	for end = begin; end < len(ops) && len(requests) < l.batch && len(b) < l.maxBytes-1024-32*len(requests); end++ {
		start := len(b)
		if err := b.op(&ops[end]); err != nil {
			errs[end] = err
			continue
		}
		requests = append(requests, b[start:len(b):len(b)])
		indices = append(indices, end)
	}
	return indices, requests, end
}

// familyGone reports whether the family got another number or vanished, in case
// a verdict may mean that.
func (l *link) familyGone(ctx context.Context, verdicts []error) (bool, error) {
	if !slices.ContainsFunc(verdicts, func(v error) bool { return errors.Is(v, unix.ENOENT) }) {
		return false, nil
	}
	before := l.family
	err := l.resolve(ctx)
	if errors.Is(err, ipvsctl.ErrUnavailable) {
		return true, nil
	}
	return l.family != before, err
}

// wasSent reports whether requests may have reached the kernel although err
// came back.
func wasSent(err error) bool {
	var op *netlink.OpError
	return !errors.As(err, &op) || op.Op != "send-messages"
}
