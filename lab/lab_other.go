//go:build !linux

package lab

import (
	"errors"
	"fmt"
	"os"
)

// AgentMain runs one of the lab's own helpers; they need Linux.
func AgentMain([]string) int {
	_, _ = fmt.Fprintln(os.Stderr, errUnsupported())
	return 1
}

func errUnsupported() error { return fmt.Errorf("the lab needs Linux: %w", errors.ErrUnsupported) }
