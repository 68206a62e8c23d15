package ipvsnl

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// Info is what the kernel says about its IPVS.
type Info struct {
	Version       string // e.g. "1.2.1"
	ConnTableSize uint32 // buckets of the connection table
}

// Info reads the version and the size of the connection table.
func (h *Handle) Info(ctx context.Context) (Info, error) {
	var info Info
	err := h.get(ctx, "reading the ipvs version", cmdGetInfo, func(typ uint16, v value) (err error) {
		switch typ {
		case infoVersion:
			var n uint32
			err = v.u32(&n)
			info.Version = fmt.Sprintf("%d.%d.%d", n>>16&0xff, n>>8&0xff, n&0xff)
		case infoConnTabSize:
			err = v.u32(&info.ConnTableSize)
		}
		return err
	})
	return info, err
}

// Timeouts reads the timeouts.
func (h *Handle) Timeouts(ctx context.Context) (ipvsctl.Timeouts, error) {
	var t ipvsctl.Timeouts
	err := h.get(ctx, "reading the ipvs timeouts", cmdGetConfig, func(typ uint16, v value) error {
		field := timeout(&t, typ)
		if field == nil {
			return nil
		}
		var seconds uint32
		err := v.u32(&seconds)
		*field = time.Duration(seconds) * time.Second
		return err
	})
	return t, err
}

// timeout returns the one that an attribute sets.
func timeout(t *ipvsctl.Timeouts, typ uint16) *time.Duration {
	switch typ {
	case attrTimeoutTCP:
		return &t.TCP
	case attrTimeoutTCPFin:
		return &t.TCPFin
	case attrTimeoutUDP:
		return &t.UDP
	}
	return nil
}

// SetTimeouts sets those timeouts that are not 0. They must be whole seconds
// from 1 s to 31 days. Connections that exist keep theirs until their next
// packet.
func (h *Handle) SetTimeouts(ctx context.Context, t ipvsctl.Timeouts) error {
	var b buffer
	b.header(cmdSetConfig)
	for typ := uint16(attrTimeoutTCP); typ <= attrTimeoutUDP; typ++ {
		d := *timeout(&t, typ)
		if d < 0 || d > 31*24*time.Hour || d%time.Second != 0 {
			return fmt.Errorf("setting the ipvs timeouts: %v is not a number of whole seconds up to 31 days: %w", d, ipvsctl.ErrRange)
		}
		if d != 0 {
			b.u32(typ, uint32(d/time.Second))
		}
	}
	return h.transact(ctx, func(l *link) error {
		if _, err := l.ask(ctx, netlink.Acknowledge, b); err != nil {
			return explain("setting the ipvs timeouts", err)
		}
		return nil
	})
}

// Zero sets the counters of a service and of its destinations to 0; those of
// connections that are open stay. It fails with ipvsctl.ErrNoService if there is no
// such service.
func (h *Handle) Zero(ctx context.Context, key ipvsctl.ServiceKey) error {
	op := ipvsctl.Op{Service: ipvsctl.Service{Key: key}}
	if err := checkEncodable(&op, false); err != nil {
		return err
	}
	var b buffer
	b.header(cmdZero)
	b.service(&op.Service, false)
	return h.transact(ctx, func(l *link) error {
		_, err := l.ask(ctx, netlink.Acknowledge, b)
		var errno unix.Errno
		if _, known := isVerdict(err); known && errors.As(err, &errno) && errno == unix.ESRCH {
			return fmt.Errorf("zeroing service %v: %w", key, answer(ipvsctl.ErrNoService, err, errno, ""))
		}
		if err != nil {
			return explain(fmt.Sprintf("zeroing service %v", key), err)
		}
		return nil
	})
}

// get reads what has one answer with attributes of the first level.
func (h *Handle) get(ctx context.Context, doing string, cmd uint8, take func(uint16, value) error) error {
	return h.transact(ctx, func(l *link) error {
		var b buffer
		b.header(cmd)
		answers, err := l.ask(ctx, 0, b)
		if err != nil {
			return explain(doing, err)
		}
		if len(answers) != 1 || len(answers[0].Data) < genlHeaderLength {
			return fmt.Errorf("%s: %w", doing, errTruncated)
		}
		return attributes(answers[0].Data[genlHeaderLength:]).each("message", take)
	})
}
