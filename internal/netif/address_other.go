//go:build !linux

package netif

import (
	"context"
	"net/netip"
)

type host struct{}

func hostKernel() addressKernel { return host{} }

func (host) read(context.Context) (addressTable, error) { return addressTable{}, errOtherSystem }

func (host) add(Link, netip.Prefix, Attributes) error { return errOtherSystem }

func (host) await(context.Context, Link, netip.Addr) {}

func (host) remove(heldAddress) error { return errOtherSystem }

func (host) promote(string) (func() error, error) { return nil, errOtherSystem }
