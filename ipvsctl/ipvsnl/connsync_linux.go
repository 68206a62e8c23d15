package ipvsnl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/ipvsctl"
)

var _ ipvsctl.SyncHandle = (*Handle)(nil)

// SyncDaemons implements ipvsctl.SyncHandle.
func (h *Handle) SyncDaemons(ctx context.Context) ([]ipvsctl.SyncDaemon, error) {
	var daemons []ipvsctl.SyncDaemon
	err := h.transact(ctx, func(l *link) error {
		var b buffer
		b.header(cmdGetDaemon)
		answers, err := l.ask(ctx, netlink.Dump, b)
		if err != nil {
			return explain("listing the sync daemons", err)
		}
		daemons = make([]ipvsctl.SyncDaemon, len(answers))
		for i, m := range answers {
			if daemons[i], err = decodeDaemon(m.Data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(daemons, func(a, b ipvsctl.SyncDaemon) int { return cmp.Compare(a.Role, b.Role) })
	return daemons, nil
}

// StartSync implements ipvsctl.SyncHandle.
func (h *Handle) StartSync(ctx context.Context, d ipvsctl.SyncDaemon) error {
	var b buffer
	if err := b.daemon(cmdNewDaemon, d, true); err != nil {
		return err
	}
	return h.transact(ctx, func(l *link) error {
		_, err := l.ask(ctx, netlink.Acknowledge, b)
		return explainDaemon(d, err)
	})
}

// StopSync implements ipvsctl.SyncHandle. It asks twice: the kernel does not
// acknowledge that it stopped a daemon whose thread had not run yet, and that
// there is none any more is the better proof anyway.
func (h *Handle) StopSync(ctx context.Context, d ipvsctl.SyncDaemon) error {
	var b buffer
	if err := b.daemon(cmdDelDaemon, d, false); err != nil {
		return err
	}
	return h.transact(ctx, func(l *link) error {
		verdicts := make([]error, 2)
		if err := l.send(ctx, [][]byte{b, b}, verdicts); err != nil {
			return err
		}
		if verdicts[0] == nil && !errors.Is(verdicts[1], unix.ESRCH) {
			return fmt.Errorf("%w: the kernel was asked to stop it", ipvsctl.ErrNotTaken)
		}
		return explainDaemon(d, verdicts[0])
	})
}

// explainDaemon translates the kernel's answer to a request about a daemon.
func explainDaemon(d ipvsctl.SyncDaemon, err error) error {
	var errno unix.Errno
	if _, ok := isVerdict(err); !ok || !errors.As(err, &errno) {
		return err
	}
	switch errno {
	case unix.EEXIST:
		return answer(ipvsctl.ErrExist, err, errno, "")
	case unix.ESRCH:
		return answer(ipvsctl.ErrNoDaemon, err, errno, "")
	case unix.ENOENT:
		return answer(ipvsctl.ErrUnavailable, err, errno, "the module was unloaded meanwhile")
	case unix.ENODEV:
		return answer(ipvsctl.ErrInvalid, err, errno, fmt.Sprintf("there is no interface %q", d.Interface))
	case unix.EADDRNOTAVAIL:
		return answer(ipvsctl.ErrInvalid, err, errno, fmt.Sprintf("interface %q has no address to send from", d.Interface))
	case unix.EINVAL:
		return answer(ipvsctl.ErrInvalid, err, errno,
			"the group must be multicast, and no service may have a destination of the other address family")
	}
	return general(err, errno)
}
