package ipvsctl

import (
	"context"
	"errors"
)

// Handle is one network namespace's IPVS table. Every method may be called by
// several goroutines.
type Handle interface {
	// Read returns the whole table, sorted. An error means that nothing is
	// known; an empty table is none.
	Read(ctx context.Context) (LiveTable, error)

	// ReadServices returns those of the given services that exist, sorted.
	ReadServices(ctx context.Context, keys []ServiceKey) (LiveTable, error)

	// Apply does the operations in their order and goes on after a failure.
	// It returns nil when all were done, otherwise one entry for each
	// operation, nil for those that were done. The errors match the sentinels
	// of this package.
	Apply(ctx context.Context, ops []Op) []error

	// Close releases the handle; the table stays as it is.
	Close() error
}

// What can be wrong with an operation. A Handle's errors wrap one of these
// wherever the caller may want to act on it.
var (
	// ErrUnavailable: this kernel offers no IPVS at present.
	ErrUnavailable = errors.New("ipvs is not available in this kernel")
	// ErrExist: what was to be added is there already.
	ErrExist = errors.New("exists already")
	// ErrNoService: the service of the operation does not exist.
	ErrNoService = errors.New("no such service")
	// ErrNoDest: the service exists, the destination does not.
	ErrNoDest = errors.New("no such destination")
	// ErrNoModule: the kernel knows no scheduler or persistence engine of this
	// name and found no module that brings it.
	ErrNoModule = errors.New("no such scheduler or persistence engine")
	// ErrInvalid: the kernel refuses the combination of values.
	ErrInvalid = errors.New("refused as invalid")
	// ErrRange: a weight or a threshold is out of range.
	ErrRange = errors.New("value out of range")
	// ErrOutcomeUnknown: the operation was sent and its verdict got lost; only
	// reading tells whether it was done.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrNotTaken: the kernel reported success, and reading shows otherwise.
	ErrNotTaken = errors.New("reported as done, but reading back shows otherwise")
)
