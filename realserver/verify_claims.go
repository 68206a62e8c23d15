package realserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

// claimFindings are about the host's own addresses that services list: nobody else
// of the segment may have one, or the director sends to either.
func (r *Runner) claimFindings(ctx context.Context, own []HostAddress) ([]Finding, error) {
	all, errs := make([]Finding, len(own)), make([]error, len(own))
	var asking sync.WaitGroup
	for i, a := range own {
		asking.Go(func() { all[i], errs[i] = r.claimFinding(ctx, a) })
	}
	asking.Wait()
	return all, errors.Join(errs...)
}

func (r *Runner) claimFinding(ctx context.Context, own HostAddress) (Finding, error) {
	f := Finding{Item: fmt.Sprintf("holders of %s on %s", own.Address, own.Interface), Want: alone, Got: alone, OK: true}
	others, err := r.Kernel.Claimants(ctx, own.Interface, own.Address)
	switch {
	case errors.Is(err, fs.ErrPermission) || ctx.Err() != nil:
		return f, err
	case err != nil: // an interface of another sort
		f.Got = "unknown: " + err.Error()
	case len(others) > 0:
		f.Got, f.OK = "this host and "+strings.Join(others, ", "), false
		f.Remedy = "find the machine with that MAC and give it another address: " +
			"the director sends to whichever of the two it hears first"
	}
	return f, nil
}
