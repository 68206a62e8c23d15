//go:build !linux

package healthcheck

import (
	"errors"
	"fmt"
)

func resetOnClose(uintptr) error {
	return fmt.Errorf("arranging for a reset: %w", errors.ErrUnsupported)
}
