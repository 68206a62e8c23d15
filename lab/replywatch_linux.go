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

// offsetSourceMAC is of an Ethernet frame.
const offsetSourceMAC = 6

// format says where things are in an Ethernet frame with a packet of one family.
type format struct {
	etherType        int
	ttl, source, end int
}

var (
	format4 = format{etherType: 0x0800, ttl: 22, source: 26, end: 34}
	format6 = format{etherType: 0x86dd, ttl: 21, source: 22, end: 54}
)

// WatchReplies begins to count.
func (c *Cluster) WatchReplies(source netip.Addr) (*ReplyWatch, error) {
	f := format4
	if source.Is6() {
		f = format6
	}
	var program []bpf.Instruction
	for at, b := 0, source.AsSlice(); at < len(b); at += 4 {
		program = append(program,
			bpf.LoadAbsolute{Off: uint32(f.source + at), Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(b[at:]), SkipTrue: 1},
			bpf.RetConstant{Val: 0},
		)
	}
	if source.Is6() {
		// What it says by ICMPv6, such as neighbour advertisements, is no reply.
		const nextHeader, icmpv6 = 20, 58
		program = append(program,
			bpf.LoadAbsolute{Off: nextHeader, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: icmpv6, SkipTrue: 1},
			bpf.RetConstant{Val: 0},
		)
	}
	filter, err := bpf.Assemble(append(program, bpf.RetConstant{Val: uint32(f.end)}))
	if err != nil {
		return nil, fmt.Errorf("assembling a filter: %w", err)
	}
	w := &ReplyWatch{stop: make(chan struct{}), ended: make(chan struct{}), counts: make(map[Origin]int)}
	err = c.Node(Router).Do(func() error {
		ifi, err := net.InterfaceByName(Interface)
		if err != nil {
			return err
		}
		w.conn, err = packet.Listen(ifi, packet.Raw, f.etherType, &packet.Config{Filter: filter})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening on the router: %w", err)
	}
	go func() {
		defer close(w.ended)
		w.err = w.count(c, f)
	}()
	return w, nil
}

func (w *ReplyWatch) count(c *Cluster, f format) error {
	frame := make([]byte, f.end)
	for {
		n, _, err := w.conn.ReadFrom(frame)
		if err != nil {
			select {
			case <-w.stop:
				return nil
			default:
			}
			return fmt.Errorf("listening on the router: %w", err)
		}
		if n < f.end {
			continue
		}
		mac := net.HardwareAddr(frame[offsetSourceMAC : offsetSourceMAC+6])
		origin := Origin{Node: c.nodeOf(mac), TTL: frame[f.ttl]}
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
