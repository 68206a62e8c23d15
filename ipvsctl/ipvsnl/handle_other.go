//go:build !linux

package ipvsnl

import (
	"errors"
	"fmt"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// Handle exists on Linux only; here there is never one.
type Handle struct{ ipvsctl.Handle }

// Open fails: IPVS is part of Linux.
func Open() (*Handle, error) {
	return nil, fmt.Errorf("%w: %w", ipvsctl.ErrUnavailable, errors.ErrUnsupported)
}

// OpenNetNS fails as Open does.
func OpenNetNS(int) (*Handle, error) { return Open() }
