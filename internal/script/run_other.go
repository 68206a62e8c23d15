//go:build !linux

package script

import (
	"context"
	"errors"
	"fmt"
)

// Run needs Linux.
func Run(context.Context, Command) (Result, error) {
	return Result{}, fmt.Errorf("%w: running a program: %w", ErrNotStarted, errors.ErrUnsupported)
}
