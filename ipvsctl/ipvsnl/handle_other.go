//go:build !linux

package ipvsnl

import (
	"context"
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

// SyncDaemons fails as Open does.
func (*Handle) SyncDaemons(context.Context) ([]ipvsctl.SyncDaemon, error) {
	return nil, errors.ErrUnsupported
}

// StartSync fails as Open does.
func (*Handle) StartSync(context.Context, ipvsctl.SyncDaemon) error { return errors.ErrUnsupported }

// StopSync fails as Open does.
func (*Handle) StopSync(context.Context, ipvsctl.SyncDaemon) error { return errors.ErrUnsupported }

// Timeouts fails as Open does.
func (*Handle) Timeouts(context.Context) (ipvsctl.Timeouts, error) {
	return ipvsctl.Timeouts{}, errors.ErrUnsupported
}

// SetTimeouts fails as Open does.
func (*Handle) SetTimeouts(context.Context, ipvsctl.Timeouts) error { return errors.ErrUnsupported }

// Zero fails as Open does.
func (*Handle) Zero(context.Context, ipvsctl.ServiceKey) error { return errors.ErrUnsupported }
