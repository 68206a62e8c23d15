package netif

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dumpAttempts bounds the repetitions of a list that the kernel changed while
// it was being read. Under the heaviest churn measured, six in ten lists were
// interrupted.
const dumpAttempts = 30

// complete calls list until it was not interrupted by a change. A partial list
// is never returned.
func complete[T any](ctx context.Context, list func() ([]T, error)) ([]T, error) {
	for range dumpAttempts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		all, err := list()
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			continue
		}
		if err != nil {
			return nil, explain(err)
		}
		return all, nil
	}
	return nil, fmt.Errorf("%w %d times in a row", netlink.ErrDumpInterrupted, dumpAttempts)
}

// Links reads all interfaces of this network namespace, ordered by index.
func Links(ctx context.Context) ([]Link, error) {
	list, err := complete(ctx, netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	links := make([]Link, 0, len(list))
	for _, l := range list {
		links = append(links, linkOf(l))
	}
	slices.SortFunc(links, func(a, b Link) int { return a.Index - b.Index })
	return links, nil
}

// virtual reports whether a link is one that we made.
func virtual(l netlink.Link) bool {
	m, ok := l.(*netlink.Macvlan)
	return ok && m.Group == virtualGroup && m.Mode == netlink.MACVLAN_MODE_BRIDGE
}

func linkOf(l netlink.Link) Link {
	const carrier = unix.IFF_LOWER_UP | unix.IFF_RUNNING
	attrs := l.Attrs()
	return Link{
		Name:     attrs.Name,
		Index:    attrs.Index,
		Up:       attrs.RawFlags&unix.IFF_UP != 0,
		Carrier:  attrs.RawFlags&carrier == carrier,
		Loopback: attrs.RawFlags&unix.IFF_LOOPBACK != 0,
		NoARP:    attrs.RawFlags&unix.IFF_NOARP != 0,
		MAC:      attrs.HardwareAddr,
		MTU:      attrs.MTU,
		Master:   attrs.MasterIndex,
		Parent:   attrs.ParentIndex,
		Type:     l.Type(),
		Virtual:  virtual(l),
	}
}
