package ipvsnl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// Handle is the IPVS table of one network namespace. It may be used by several
// goroutines, one at a time: the kernel has one lock for all tables anyway.
type Handle struct {
	dial func() (*netlink.Conn, error)

	mu     sync.Mutex
	link   *link // nil until needed, and after a failure
	closed bool
}

var _ ipvsctl.Handle = (*Handle)(nil)

// Open returns the table of the caller's network namespace. Where the kernel
// offers no IPVS the error wraps ipvsctl.ErrUnavailable and says the remedy.
// The handle outlives the module: when ip_vs is loaded again, it works again.
func Open() (*Handle, error) { return OpenNetNS(0) }

// OpenNetNS is Open for the network namespace of a descriptor, which must stay
// valid as long as the handle.
func OpenNetNS(fd int) (*Handle, error) {
	return open(func() (*netlink.Conn, error) { return dial(fd) })
}

func open(dial func() (*netlink.Conn, error)) (*Handle, error) {
	h := &Handle{dial: dial}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.transact(ctx, func(*link) error { return nil }); err != nil {
		_ = h.Close()
		return nil, err
	}
	return h, nil
}

// Close implements ipvsctl.Handle.
func (h *Handle) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	return h.drop()
}

func (h *Handle) drop() error {
	if h.link == nil {
		return nil
	}
	err := h.link.conn.Close()
	h.link = nil
	return err
}

// transact runs fn on a link whose family number is fresh. After an error other
// than the kernel's own verdict the link is thrown away, and after a
// cancellation too, since that may still be about to change the deadline.
func (h *Handle) transact(ctx context.Context, fn func(*link) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return fmt.Errorf("using the ipvs handle: %w", os.ErrClosed)
	}
	if h.link == nil {
		conn, err := h.dial()
		if err != nil {
			return err
		}
		h.link = newLink(conn)
	}
	err := h.link.resolve(ctx)
	if err == nil {
		err = fn(h.link)
	}
	ctxErr := ctx.Err()
	if _, verdict := isVerdict(err); ctxErr != nil || err != nil && !verdict {
		_ = h.drop()
	}
	if err != nil && ctxErr != nil && !errors.Is(err, ctxErr) {
		err = fmt.Errorf("%w: %w", ctxErr, err)
	}
	return err
}

// Read implements ipvsctl.Handle.
func (h *Handle) Read(ctx context.Context) (ipvsctl.LiveTable, error) {
	var table ipvsctl.LiveTable
	err := h.transact(ctx, func(l *link) error {
		answers, err := l.list(ctx)
		if err != nil {
			return err
		}
		table, err = l.services(ctx, answers)
		return err
	})
	if err != nil {
		return nil, err
	}
	return table, nil
}

// ReadServices implements ipvsctl.Handle.
func (h *Handle) ReadServices(ctx context.Context, keys []ipvsctl.ServiceKey) (ipvsctl.LiveTable, error) {
	var table ipvsctl.LiveTable
	err := h.transact(ctx, func(l *link) error {
		find := l.find
		if len(keys) > listFrom {
			find = l.pick
		}
		found, err := find(ctx, keys)
		if err != nil {
			return err
		}
		table, err = l.services(ctx, found)
		return err
	})
	if err != nil {
		return nil, err
	}
	return table, nil
}

// listFrom is from how many services on a list of all is read rather than each by
// itself: before a takeover, none of them is there.
const listFrom = 200

// list reads all services, without their destinations.
func (l *link) list(ctx context.Context) ([]netlink.Message, error) {
	var b buffer
	b.header(cmdGetService)
	answers, err := l.ask(ctx, netlink.Dump, b)
	if err != nil {
		return nil, explain("listing the services", err)
	}
	return answers, nil
}

// pick reads all services and returns those with the given keys.
func (l *link) pick(ctx context.Context, keys []ipvsctl.ServiceKey) ([]netlink.Message, error) {
	all, err := l.list(ctx)
	if err != nil {
		return nil, err
	}
	wanted := make(map[ipvsctl.ServiceKey]bool, len(keys))
	for _, key := range keys {
		wanted[key] = true
	}
	found := all[:0]
	for _, m := range all {
		service, err := decodeService(m.Data)
		if err != nil {
			return nil, err
		}
		if wanted[service.Key] {
			found = append(found, m)
		}
	}
	return found, nil
}

// find reads those services that exist, one by one.
func (l *link) find(ctx context.Context, keys []ipvsctl.ServiceKey) ([]netlink.Message, error) {
	var found []netlink.Message
	for _, key := range keys {
		var b buffer
		b.header(cmdGetService)
		b.service(&ipvsctl.Service{Key: key}, false)
		answers, err := l.ask(ctx, 0, b)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return nil, explain(fmt.Sprintf("reading service %v", key), err)
		}
		found = append(found, answers...)
	}
	return found, nil
}

// services decodes services and reads the destinations of each: the kernel
// lists them only service by service, one dump at a time on a socket.
func (l *link) services(ctx context.Context, answers []netlink.Message) (ipvsctl.LiveTable, error) {
	table := make(ipvsctl.LiveTable, 0, len(answers))
	var b buffer
	for _, m := range answers {
		live, err := decodeService(m.Data)
		if err != nil {
			return nil, err
		}
		b = b[:0]
		b.header(cmdGetDest)
		b.service(&live.Service, false)
		dests, err := l.ask(ctx, netlink.Dump, b)
		if err != nil {
			return nil, explain(fmt.Sprintf("listing the destinations of service %v", live.Key), err)
		}
		live.Dests = make([]ipvsctl.LiveDest, len(dests))
		for i, m := range dests {
			if live.Dests[i], err = decodeDest(m.Data, live.Key.AddressFamily()); err != nil {
				return nil, fmt.Errorf("service %v: %w", live.Key, err)
			}
		}
		table = append(table, live)
	}
	table.Sort()
	return table, nil
}
