//go:build !linux

package arp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

var errOtherSystem = fmt.Errorf("ARP on a system other than Linux: %w", errors.ErrUnsupported)

// Open opens the port of an Ethernet interface; on Linux alone.
func Open(string) (Port, error) { return nil, errOtherSystem }

// Probe asks the segment who has an address; on Linux alone.
func Probe(context.Context, string, netip.Addr, time.Duration) ([]Answer, error) {
	return nil, errOtherSystem
}

// Reach asks the segment whether anybody has an address; on Linux alone.
func Reach(context.Context, string, netip.Addr, time.Duration) (Answer, bool, error) {
	return Answer{}, false, errOtherSystem
}

// Ask asks the segment who has an address; on Linux alone.
func Ask(context.Context, Question) ([]Answer, error) { return nil, errOtherSystem }

// Claims reports who claims an address; on Linux alone.
func Claims(context.Context, string, func(netip.Addr) bool, func(Claim)) error { return errOtherSystem }
