package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
)

// pollEvery is how often a condition of a node is tried again.
const pollEvery = 5 * time.Millisecond

// Await polls a condition until it holds. An error of the condition is the
// reason why it does not hold yet; it is told when ctx ends.
func Await(ctx context.Context, what string, condition func(context.Context) error) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %w", what, context.Cause(ctx), err)
		}
	}
}

// AwaitState waits until the node's router is in a state, such as "master", by
// its own account, and returns the whole account. A node whose supervisor has
// ended is not waited for.
func (n *Node) AwaitState(ctx context.Context, state string) (control.Status, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var last control.Status
	err := Await(ctx, fmt.Sprintf("%s to be %s", n.Name, state), func(ctx context.Context) error {
		if !n.Running() {
			cancel(fmt.Errorf("haldir run on %s: %w", n.Name, errors.Join(ErrNotRunning, n.exit())))
		}
		status, err := n.Status(ctx)
		if err != nil {
			return err
		}
		last = status
		return inState(status, state)
	})
	return last, err
}

func inState(status control.Status, state string) error {
	if len(status.Routers) == 0 {
		return errors.New("it has no virtual router")
	}
	for _, r := range status.Routers {
		if r.State != state {
			return fmt.Errorf("router %s is %s (%s) %s", r.Name, r.State, r.Reason, r.Problem)
		}
	}
	return nil
}

// exit is how the supervisor ended.
func (n *Node) exit() error {
	if n.director == nil || n.director.running() {
		return nil
	}
	return n.director.err
}

// AwaitPool waits until the node's kernel has exactly so many real servers in
// each service.
func (n *Node) AwaitPool(ctx context.Context, size int) error {
	return Await(ctx, fmt.Sprintf("%d real servers in every service on %s", size, n.Name), func(ctx context.Context) error {
		status, err := n.Status(ctx)
		if err != nil {
			return err
		}
		for _, s := range status.Services {
			loaded := 0
			for _, r := range s.Real {
				if r.Weight != nil && *r.Weight > 0 {
					loaded++
				}
			}
			if s.Loaded == nil || !*s.Loaded || loaded != size {
				return fmt.Errorf("service %s has %d", s.Name, loaded)
			}
		}
		return nil
	})
}
