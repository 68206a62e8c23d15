package ipvsctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// maxRounds bounds how often one Reconcile plans again because the table was
// not what it had read. The kernel's dump may miss an entry when another one is
// deleted meanwhile, and other programs write too.
const maxRounds = 3

// Reconciler brings the kernel's table to the desired one. It remembers
// nothing: each Reconcile starts from what it reads. Only one goroutine may
// call it at a time.
type Reconciler struct {
	handle Handle
}

// NewReconciler returns a Reconciler on h. It does not close h.
func NewReconciler(h Handle) *Reconciler { return &Reconciler{handle: h} }

// Result is what one Reconcile did and what it left.
type Result struct {
	Ops     []Op         // what was tried, in order
	Failed  []OpError    // what is still lacking, and why
	Live    LiveTable    // the table as read after the last operation
	Foreign []ServiceKey // services that are not ours; they were not touched
}

// Err returns the failures joined, nil if there are none.
func (r Result) Err() error {
	errs := make([]error, len(r.Failed))
	for i, f := range r.Failed {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// Reconcile reads the table, applies the Plan to it and reads back. It returns
// an error only if the table cannot be read; what happened until then is in the
// Result. An operation that fails does not hinder the others: it is in
// Result.Failed, and a later Reconcile tries again.
func (r *Reconciler) Reconcile(ctx context.Context, desired Table, owned func(ServiceKey) bool) (Result, error) {
	return r.reconcile(ctx, desired, owned, r.handle.Read)
}

// ReconcileServices is Reconcile for the services with the given keys alone, which
// are sorted: nothing else is read or touched, or is in the Result.
func (r *Reconciler) ReconcileServices(ctx context.Context, desired Table, keys []ServiceKey, owned func(ServiceKey) bool) (Result, error) {
	read := func(ctx context.Context) (LiveTable, error) { return r.handle.ReadServices(ctx, keys) }
	return r.reconcile(ctx, desired.Of(keys), owned, read)
}

func (r *Reconciler) reconcile(ctx context.Context, desired Table, owned func(ServiceKey) bool, read func(context.Context) (LiveTable, error)) (Result, error) {
	desired = desired.Canonical()
	live, err := read(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("reading the ipvs table: %w", err)
	}
	var result Result
	plan := Plan(desired, live, owned)
	for round := 1; len(plan) > 0; round++ {
		result.Ops = append(result.Ops, plan...)
		errs := r.handle.Apply(ctx, plan)
		if live, err = r.readBack(ctx, live, plan, errs, read); err != nil {
			return result, fmt.Errorf("reading the ipvs table back: %w", err)
		}
		rest := Plan(desired, live, owned)
		result.Failed = failures(plan, errs, rest)
		if round == maxRounds || !stale(plan, errs) {
			break
		}
		plan = rest
	}
	result.Live = live
	result.Foreign = Foreign(desired, live, owned)
	return result, nil
}

// readBack reads what the operations touched, or all where the table turned
// out to be other than it was read.
func (r *Reconciler) readBack(ctx context.Context, before LiveTable, ops []Op, errs []error, read func(context.Context) (LiveTable, error)) (LiveTable, error) {
	if stale(ops, errs) {
		return read(ctx)
	}
	touched := make(map[ServiceKey]bool)
	var keys []ServiceKey
	for _, op := range ops {
		if key := op.Service.Key; !touched[key] {
			touched[key] = true
			keys = append(keys, key)
		}
	}
	if 2*len(keys) > len(before) {
		return read(ctx)
	}
	now, err := r.handle.ReadServices(ctx, keys)
	if err != nil {
		return nil, err
	}
	for _, s := range before {
		if !touched[s.Key] {
			now = append(now, s)
		}
	}
	slices.SortFunc(now, compareLiveServices)
	return now, nil
}

// stale reports whether an error says that the table was not as it had been
// read, or that a verdict was lost. Destinations that failed only because their
// service did are no such sign.
func stale(ops []Op, errs []error) bool {
	failedServices := make(map[ServiceKey]bool)
	for i, err := range errs {
		if err != nil && !ops[i].Kind.OnDest() {
			failedServices[ops[i].Service.Key] = true
		}
	}
	for i, err := range errs {
		if errors.Is(err, ErrExist) || errors.Is(err, ErrNoDest) || errors.Is(err, ErrOutcomeUnknown) ||
			errors.Is(err, ErrNoService) && !(ops[i].Kind.OnDest() && failedServices[ops[i].Service.Key]) {
			return true
		}
	}
	return false
}

// failures pairs what the table still lacks (rest) with the errors of the
// operations that should have brought it.
func failures(ops []Op, errs []error, rest []Op) []OpError {
	if len(rest) == 0 {
		return nil
	}
	type object struct {
		service ServiceKey
		dest    DestKey
	}
	objectOf := func(op Op) object {
		if op.Kind.OnDest() {
			return object{op.Service.Key, op.Dest.Key}
		}
		return object{service: op.Service.Key}
	}
	causes := make(map[object]error)
	for i, err := range errs {
		if err != nil {
			causes[objectOf(ops[i])] = err
		}
	}
	failed := make([]OpError, len(rest))
	for i, op := range rest {
		err := causes[objectOf(op)]
		if cause := causes[object{service: op.Service.Key}]; op.Kind == AddDest && errors.Is(err, ErrNoService) && cause != nil {
			err = fmt.Errorf("its service was not added: %w", cause)
		}
		if err == nil {
			err = ErrNotTaken
		}
		failed[i] = OpError{Op: op, Err: err}
	}
	return failed
}
