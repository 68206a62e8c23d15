//go:build !linux

package vrrpsock

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/haldir-lb/haldir/vrrp"
)

func open(string, vrrp.Family) (vrrp.Port, error) {
	return nil, fmt.Errorf("VRRP sockets on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
