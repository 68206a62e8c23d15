//go:build !linux

package healthcheck

import (
	"errors"
	"fmt"
)

func resetOnClose(uintptr) error {
	return fmt.Errorf("arranging for a reset: %w", errors.ErrUnsupported)
}

func markSocket(uintptr, uint32) error {
	return fmt.Errorf("%w: marking its packets: %w", errCannot, errors.ErrUnsupported)
}
