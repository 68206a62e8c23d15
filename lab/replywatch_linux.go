package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
)

// ReplyWatch counts, at the router's port to the segment, the packets that come
// from an address, by the station that sent them.
type ReplyWatch struct {
	conn   *packet.Conn
	stop   chan struct{} // closed before conn is
	ended  chan struct{}
	counts map[Origin]int
	err    error
}

// Origin is where a packet came from: the node whose interface sent it, and the
// time to live it had.
type Origin struct {
	Node string // the station's address where it is none of the lab's
	TTL  uint8
}

// Offsets in an Ethernet frame with an IPv4 packet.
const (
	offsetSourceMAC = 6
	offsetTTL       = 22
	offsetSource    = 26
	offsetEnd       = 34
)

// WatchReplies begins to count.
func (c *Cluster) WatchReplies(source netip.Addr) (*ReplyWatch, error) {
	b := source.As4()
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetSource, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(b[:]), SkipTrue: 1},
		bpf.RetConstant{Val: offsetEnd},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, fmt.Errorf("assembling a filter: %w", err)
	}
	w := &ReplyWatch{stop: make(chan struct{}), ended: make(chan struct{}), counts: make(map[Origin]int)}
	err = c.Node(Router).Do(func() error {
		ifi, err := net.InterfaceByName(Interface)
		if err != nil {
			return err
		}
		const protocolIPv4 = 0x0800
		w.conn, err = packet.Listen(ifi, packet.Raw, protocolIPv4, &packet.Config{Filter: filter})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening on the router: %w", err)
	}
	go func() {
		defer close(w.ended)
		w.err = w.count(c)
	}()
	return w, nil
}

func (w *ReplyWatch) count(c *Cluster) error {
	var frame [offsetEnd]byte
	for {
		n, _, err := w.conn.ReadFrom(frame[:])
		if err != nil {
			select {
			case <-w.stop:
				return nil
			default:
			}
			return fmt.Errorf("listening on the router: %w", err)
		}
		if n < offsetEnd {
			continue
		}
		mac := net.HardwareAddr(frame[offsetSourceMAC : offsetSourceMAC+6])
		origin := Origin{Node: c.nodeOf(mac), TTL: frame[offsetTTL]}
		if origin.Node == "" {
			origin.Node = mac.String()
		}
		w.counts[origin]++
	}
}

// Stop ends the watch and returns the counts.
func (w *ReplyWatch) Stop() (map[Origin]int, error) {
	close(w.stop)
	err := w.conn.Close()
	<-w.ended
	return w.counts, errors.Join(w.err, err)
}
