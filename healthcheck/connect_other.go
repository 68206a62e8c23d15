//go:build !linux

package healthcheck

import (
	"errors"
	"time"
)

// connector is there on Linux alone; elsewhere every check has a goroutine.
type connector struct{}

func connectLimit() int { return 0 }

func connects(Target) bool { return false }

func newConnector() (*connector, error) { return nil, errors.ErrUnsupported }

func (*connector) close()                                 {}
func (*connector) begin(time.Time, *entry) (bool, Result) { return false, Result{} }
func (*connector) end(*entry)                             {}
func (*connector) each(func(*entry, time.Time, Result))   {}
func (*connector) wake()                                  {}
func (*connector) ready() <-chan struct{}                 { return nil }
func (*connector) woken()                                 {}
