package track

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/healthcheck"
)

// ReasonSilent says that nobody on the segment has the address.
const ReasonSilent healthcheck.Reason = "no answer"

// Neighbour passes when somebody on the segment answers for the target's address:
// by ARP, or for IPv6 by neighbour discovery. It needs no address of this host
// there, and no route.
type Neighbour struct {
	Interface string `json:"interface"`
}

func (s Neighbour) checker() (healthcheck.Checker, error) {
	if s.Interface == "" {
		return nil, errors.New("interface: is missing")
	}
	return func(ctx context.Context, now time.Time, t healthcheck.Target) healthcheck.Result {
		wait := t.Timeout
		if until, ok := ctx.Deadline(); ok {
			// The answer has to be there before the check is given up.
			wait = until.Sub(now) * 9 / 10
		}
		answer, found, err := arp.Reach(ctx, s.Interface, t.Address.Addr(), wait)
		switch {
		case found:
			return healthcheck.Result{Outcome: healthcheck.Pass, Reason: healthcheck.ReasonAnswered, Detail: answer.MAC.String()}
		case errors.Is(err, context.Canceled):
			return cannot(err)
		case err != nil && ctx.Err() == nil:
			// Without the interface nobody can be reached.
			return healthcheck.Result{Outcome: healthcheck.Fail, Reason: healthcheck.ReasonUnreachable, Detail: err.Error()}
		}
		return healthcheck.Result{Outcome: healthcheck.Fail, Reason: ReasonSilent, Detail: fmt.Sprintf("of %s on %s", t.Address.Addr(), s.Interface)}
	}, nil
}
