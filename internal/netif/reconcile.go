package netif

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
)

// reconcileRounds bounds the repetitions where the kernel changes underneath.
const reconcileRounds = 3

// Reconcile makes the addresses that carry our tag exactly the desired ones,
// and leaves all others alone. It may be called again at any time; where
// nothing differs it changes nothing.
//
// One address that fails does not hinder the others: it is in Failed. The
// error says that the whole could not be done or could not be read back; the
// result then holds what is known.
func (a *Addresses) Reconcile(ctx context.Context, desired []Address) (AddressResult, error) {
	run := reconciliation{kernel: a.kernel, removeFirst: a.RemoveFirst, failed: map[Address]*AddressError{}}
	var table addressTable
	for round := 0; ; round++ {
		var err error
		if table, err = a.read(ctx); err != nil {
			return run.result(desired, table), err
		}
		run.checkTags(table)
		plan := planAddresses(desired, table)
		plan.forget(run.failed)
		if plan.empty() {
			break
		}
		if round == reconcileRounds {
			run.giveUp(plan)
			break
		}
		if err := run.apply(ctx, table, plan); err != nil {
			return run.result(desired, table), err
		}
	}
	return run.result(desired, table), nil
}

// reconciliation is the state of one call of Reconcile.
type reconciliation struct {
	kernel      addressKernel
	removeFirst bool
	added       []Address
	removed     []Address
	failed      map[Address]*AddressError
}

func (r *reconciliation) fail(op string, addr Address, err error) {
	r.failed[addr] = &AddressError{Address: addr, Op: op, Err: explain(err)}
}

// apply carries a plan out. It fails only when ctx ends.
func (r *reconciliation) apply(ctx context.Context, table addressTable, plan addressPlan) error {
	steps := []func(context.Context, addressTable, addressPlan) error{r.applyAdds, r.applyRemovals}
	if r.removeFirst {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(ctx, table, plan); err != nil {
			return err
		}
	}
	return nil
}

func (r *reconciliation) applyAdds(ctx context.Context, table addressTable, plan addressPlan) error {
	for _, e := range plan.failed {
		r.failed[e.Address] = e
	}
	defer func(before int) {
		for _, addr := range r.added[before:] {
			if addr.Prefix.Addr().Is6() {
				r.kernel.await(ctx, table.links[addr.Interface], addr.Prefix.Addr())
			}
		}
	}(len(r.added))
	for _, addr := range plan.add {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("adding address %s: %w", addr, err)
		}
		err := r.kernel.add(table.links[addr.Interface], addr.Prefix, table.attributes[addr])
		switch {
		case err == nil:
			r.added = append(r.added, addr)
		case errors.Is(err, fs.ErrExist) && addr.Prefix.Addr().Is4():
			// Somebody was faster; the next reading tells.
		default:
			r.fail("adding", addr, err)
		}
	}
	return nil
}

func (r *reconciliation) applyRemovals(ctx context.Context, table addressTable, plan addressPlan) error {
	for _, held := range plan.remove {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("removing address %s: %w", held.Address, err)
		}
		if err := r.removeOne(held, plan.keptBy(held, table)); err != nil {
			r.fail("removing", held.Address, err)
			continue
		}
		r.removed = append(r.removed, held.Address)
	}
	return nil
}

// removeOne removes an address without those that the kernel would remove with it.
func (r *reconciliation) removeOne(held heldAddress, kept []heldAddress) (err error) {
	if len(kept) > 0 {
		undo, refusal := r.kernel.promote(held.Interface)
		foreign := slices.IndexFunc(kept, func(k heldAddress) bool { return !k.Ours })
		switch {
		case refusal == nil:
			defer func() { err = errors.Join(err, undo()) }()
		case foreign >= 0:
			return fmt.Errorf("the kernel would remove %s with it: %w", kept[foreign].Prefix, refusal)
		default:
			// Only ours are at stake: the next round puts them back.
		}
	}
	err = r.kernel.remove(held)
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return nil
	}
	return err
}

// checkTags removes what was added without the kernel keeping its tag: it
// could not be told from a foreign address ever after.
func (r *reconciliation) checkTags(table addressTable) {
	added := make(map[Address]bool, len(r.added))
	for _, addr := range r.added {
		added[addr] = r.failed[addr] == nil
	}
	for _, held := range table.held {
		if !added[held.Address] || held.Proto != 0 || held.peer.IsValid() {
			continue
		}
		err := error(&UnsupportedError{
			Feature: "address protocol tags (IFA_PROTO)",
			Remedy:  "run Linux 5.18 or newer",
		})
		if undo := r.kernel.remove(held); undo != nil {
			err = fmt.Errorf("%w; taking it away again: %w", err, undo)
		}
		r.fail("adding", held.Address, err)
	}
}

func (r *reconciliation) giveUp(plan addressPlan) {
	for _, addr := range plan.add {
		r.fail("adding", addr, fmt.Errorf("it does not stay: added %d times, gone each time", reconcileRounds))
	}
	for _, held := range plan.remove {
		r.fail("removing", held.Address, fmt.Errorf("it does not go: removed %d times, there each time", reconcileRounds))
	}
}

func (r *reconciliation) result(desired []Address, table addressTable) AddressResult {
	result := AddressResult{Present: table.present()}
	there := make(map[Address]bool, len(result.Present))
	for _, p := range result.Present {
		there[p.Address] = true
	}
	for _, addr := range sortedSet(r.added) {
		if there[addr] && r.failed[addr] == nil {
			result.Added = append(result.Added, addr)
		}
	}
	for _, addr := range sortedSet(r.removed) {
		if !there[addr] {
			result.Removed = append(result.Removed, addr)
		}
	}
	result.Foreign = planAddresses(desired, table).foreign
	for _, e := range r.failed {
		result.Failed = append(result.Failed, e)
	}
	slices.SortFunc(result.Failed, func(a, b *AddressError) int { return compareAddresses(a.Address, b.Address) })
	return result
}
