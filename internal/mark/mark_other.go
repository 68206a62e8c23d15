//go:build !linux

package mark

import (
	"context"
	"errors"
	"fmt"
)

// Set makes the rules those that mark packets; on Linux alone.
func Set(context.Context, []Rule) (changed bool, err error) {
	return false, fmt.Errorf("marking packets on a system other than Linux: %w", errors.ErrUnsupported)
}
