package ipvsnl

import (
	"fmt"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// Replay is the yardstick of a load: the messages that Apply sends, encoded before,
// in the same batches, with nothing else done.
type Replay struct {
	conn    *netlink.Conn
	batches [][]netlink.Message
}

// NewReplay prepares to load ops into the network namespace of a descriptor.
func NewReplay(netns int, ops []ipvsctl.Op) (*Replay, error) {
	conn, err := dial(netns)
	if err != nil {
		return nil, err
	}
	r := &Replay{conn: conn}
	family, err := genetlink.NewConn(conn).GetFamily(familyName)
	if err != nil {
		return nil, err
	}
	l := newLink(conn)
	l.family = family.ID
	for begin := 0; begin < len(ops); {
		var batch []netlink.Message
		_, requests, end := l.encodeBatch(ops, make([]error, len(ops)), begin)
		for _, data := range requests {
			batch = append(batch, l.message(0, data))
		}
		batch[len(batch)-1].Header.Flags |= netlink.Acknowledge
		r.batches = append(r.batches, batch)
		begin = end
	}
	return r, nil
}

// Run sends them, and waits for the acknowledgement of each batch.
func (r *Replay) Run() error {
	for _, batch := range r.batches {
		if _, err := r.conn.SendMessages(batch); err != nil {
			return fmt.Errorf("sending: %w", err)
		}
		if _, err := r.conn.Receive(); err != nil {
			return fmt.Errorf("receiving the acknowledgement: %w", err)
		}
	}
	return nil
}

// Close closes the socket.
func (r *Replay) Close() error { return r.conn.Close() }
