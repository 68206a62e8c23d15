//go:build !linux

package firewall

import "errors"

// Read reads the rules; on Linux alone.
func Read() (*Ruleset, error) { return nil, errors.ErrUnsupported }
