//go:build !linux

package main

import (
	"errors"
	"fmt"
)

func privileged() error { return fmt.Errorf("running a director: %w", errors.ErrUnsupported) }
