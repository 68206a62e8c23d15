package ipvsnl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/ipvsctl"
)

const (
	// patience bounds the wait for one answer. Adding a service may make the
	// kernel load a scheduler's module first.
	patience = 10 * time.Second

	// socketBuffer is asked for in both directions. The kernel charges about
	// 1 KiB for each verdict that waits to be read, so with the default of
	// 208 KiB a batch of 400 failing requests loses some.
	socketBuffer = 4 << 20
	verdictCost  = 1100

	// maxBatch requests go out in one send. The kernel's lock is held per
	// request, so other users of the table get their turn.
	maxBatch = 1000

	// minBytes is what one send always takes: the kernel's smallest buffer holds
	// it, and any request fits.
	minBytes = 2048

	// receiveBuffer is above the 32 KiB that the kernel puts in one part of a
	// dump; with it each part costs one system call instead of two.
	receiveBuffer = 64 << 10
)

// remedy is what to do where the family is missing.
const remedy = "load it with \"modprobe ip_vs\" (in a container: on the host), or boot a kernel with CONFIG_IP_VS"

// link is one netlink socket. After any failure but a verdict of the kernel its
// state is unknown, and it must be thrown away.
type link struct {
	conn     *netlink.Conn
	family   uint16
	batch    int // requests in one send
	maxBytes int // bytes in one send
}

// dial opens a socket in the network namespace of the descriptor, or in the
// caller's if it is 0.
func dial(netns int) (*netlink.Conn, error) {
	conn, err := netlink.Dial(genetlink.Protocol, &netlink.Config{NetNS: netns, MessageBufferSize: receiveBuffer})
	if err != nil {
		return nil, fmt.Errorf("opening a generic netlink socket: %w", err)
	}
	// Kernels before 4.3 and 4.12 lack one or the other; without them answers
	// are larger and have no explaining text.
	_ = conn.SetOption(netlink.CapAcknowledge, true)
	_ = conn.SetOption(netlink.ExtendedAcknowledge, true)
	// Where the buffers stay smaller, the batches do.
	_ = conn.SetReadBuffer(socketBuffer)
	_ = conn.SetWriteBuffer(socketBuffer)
	return conn, nil
}

func newLink(conn *netlink.Conn) *link {
	l := &link{conn: conn, batch: maxBatch, maxBytes: socketBuffer / 2}
	if n, err := conn.ReadBuffer(); err == nil {
		l.batch = max(1, min(maxBatch, n/verdictCost))
	}
	if n, err := conn.WriteBuffer(); err == nil {
		l.maxBytes = max(minBytes, n/2)
	}
	return l
}

// during bounds everything on the socket by patience and ctx until the returned
// function is called.
func (l *link) during(ctx context.Context) (end func() bool, err error) {
	end = context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
	if err := l.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		end()
		return nil, err
	}
	// A cancellation between the two calls above was overwritten.
	if err := ctx.Err(); err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// resolve asks for the family's number, which changes when the module is
// loaded again. Asking makes the kernel load the module if it can.
func (l *link) resolve(ctx context.Context) error {
	end, err := l.during(ctx)
	if err != nil {
		return err
	}
	defer end()
	family, err := genetlink.NewConn(l.conn).GetFamily(familyName)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ipvsctl.ErrUnavailable, remedy)
	}
	if err != nil {
		return fmt.Errorf("resolving the generic netlink family %s: %w", familyName, err)
	}
	l.family = family.ID
	return nil
}

func (l *link) message(flags netlink.HeaderFlags, data []byte) netlink.Message {
	return netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(l.family), Flags: netlink.Request | flags}, Data: data}
}

// ask sends one request and returns the answers; those of a dump come merged.
func (l *link) ask(ctx context.Context, flags netlink.HeaderFlags, data []byte) ([]netlink.Message, error) {
	end, err := l.during(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return l.conn.Execute(l.message(flags, data))
}

// send sends the requests in one call and returns the kernel's verdict on each,
// nil for success. The kernel handles them in order, goes on after a failure
// and reports each failure with the sequence number of its request; only the
// last one is acknowledged. An error means that verdicts are missing: those
// that are known are set.
func (l *link) send(ctx context.Context, requests [][]byte, verdicts []error) error {
	end, err := l.during(ctx)
	if err != nil {
		return err
	}
	defer end()
	batch := make([]netlink.Message, len(requests))
	for i, data := range requests {
		batch[i] = l.message(0, data)
	}
	batch[len(batch)-1].Header.Flags |= netlink.Acknowledge
	sent, err := l.conn.SendMessages(batch)
	if err != nil {
		return err
	}
	first := sent[0].Header.Sequence
	for {
		messages, err := l.conn.Receive()
		sequence := uint32(0)
		if verdict, ok := isVerdict(err); ok {
			sequence = verdict.Sequence
		} else if err != nil {
			return err
		} else if len(messages) > 0 {
			sequence = messages[len(messages)-1].Header.Sequence
		}
		i := sequence - first
		if i >= uint32(len(sent)) {
			return fmt.Errorf("receiving the verdicts of a batch: sequence number %d is not of this batch", sequence)
		}
		verdicts[i] = err
		if int(i) == len(sent)-1 {
			return nil
		}
	}
}

// isVerdict tells what the kernel says about a request from what happened to
// the socket.
func isVerdict(err error) (*netlink.OpError, bool) {
	var op *netlink.OpError
	if !errors.As(err, &op) || op.Sequence == 0 {
		return nil, false
	}
	var errno unix.Errno
	return op, errors.As(op.Err, &errno)
}
