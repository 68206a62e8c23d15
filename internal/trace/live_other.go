//go:build !linux

package trace

import (
	"context"
	"errors"

	"github.com/haldir-lb/haldir/internal/doctor"
)

// Capture captures the journey; on Linux alone.
func Capture(context.Context, Watch, *doctor.Directory, func(), func(Frame) bool) error {
	return errors.ErrUnsupported
}
