package netif

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// watchBuffer is the size of the socket's receive buffer in bytes: some
// thousand events.
const watchBuffer = 4 << 20

// Watch reports the links and addresses that are there, then what happens to
// them, until ctx ends; it then returns nil. Any other return is an error
// after which nothing is watched; a new call reports everything again.
//
// sink is called by this goroutine, in the order of the events. Nothing is
// queued without bound: where sink is so slow that the kernel drops events,
// everything is read again and the differences are reported.
func Watch(ctx context.Context, sink func(Event)) error { return watch(ctx, watchBuffer, sink) }

func watch(ctx context.Context, buffer int, sink func(Event)) error {
	t := newTracker()
	for {
		heard, err := watchOnce(ctx, buffer, t, sink)
		if ctx.Err() != nil {
			return nil
		}
		if !heard {
			return fmt.Errorf("watching links and addresses: %w", err)
		}
	}
}

// watchOnce uses one socket until it fails. It says whether anything was heard,
// so that a socket which never works does not make Watch spin.
func watchOnce(ctx context.Context, buffer int, t *tracker, sink func(Event)) (heard bool, err error) {
	// One socket for all groups, so that the kernel's order of events is kept.
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return false, fmt.Errorf("subscribing: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer func() {
		if stop() {
			_ = socket.Close()
		}
	}()
	if socket.SetReceiveBufferSize(buffer, true) != nil {
		// Without privilege up to the system's limit.
		_ = socket.SetReceiveBufferSize(buffer, false)
	}
	report := func(events []Event) {
		for _, e := range events {
			sink(e)
		}
	}
	// Subscribed first and read afterwards, nothing falls in between.
	table, err := host{}.read(ctx)
	if err != nil {
		return false, err
	}
	report(t.sync(table.ordered(), table.held))
	for {
		msgs, from, err := socket.Receive()
		if err != nil {
			// Where events were lost (ENOBUFS), the older ones still queued must
			// not be applied to a newer reading: they go with the socket.
			return heard || errors.Is(err, unix.ENOBUFS), fmt.Errorf("receiving: %w", err)
		}
		if from.Pid != nl.PidKernel {
			continue
		}
		heard = true
		for _, m := range msgs {
			report(t.message(m))
		}
	}
}

// message takes one notification. What cannot be decoded is ignored.
func (t *tracker) message(m syscall.NetlinkMessage) []Event {
	switch m.Header.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		// A bridge sends these with its own family when a port joins or leaves.
		if len(m.Data) < unix.SizeofIfInfomsg || m.Data[0] != unix.AF_UNSPEC {
			return nil
		}
		header := unix.NlMsghdr(m.Header)
		link, err := netlink.LinkDeserialize(&header, m.Data)
		if err != nil {
			return nil
		}
		if m.Header.Type == unix.RTM_DELLINK {
			return t.linkGone(link.Attrs().Index)
		}
		return t.link(linkOf(link))
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		h, ok := decodeAddress(m.Data)
		if !ok {
			return nil
		}
		if m.Header.Type == unix.RTM_DELADDR {
			return t.addressGone(h.key())
		}
		return t.address(h)
	}
	return nil
}
