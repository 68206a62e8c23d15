package arp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
)

// Probe is Ask with three probes that change no neighbour's table.
func Probe(ctx context.Context, ifname string, addr netip.Addr, wait time.Duration) ([]Answer, error) {
	return Ask(ctx, Question{Interface: ifname, Address: addr, Wait: wait})
}

// Reach is Probe for whoever wants to know whether anybody has the address: it
// returns at the first answer. found is false if there was none.
func Reach(ctx context.Context, ifname string, addr netip.Addr, wait time.Duration) (first Answer, found bool, err error) {
	answers, err := ask(ctx, Question{Interface: ifname, Address: addr, Wait: wait}, 1)
	if len(answers) > 0 {
		return answers[0], true, nil
	}
	if err != nil {
		return Answer{}, false, fmt.Errorf("asking for %s on %s: %w", addr, ifname, err)
	}
	return Answer{}, false, nil
}

// Ask asks the segment at the interface who has an address and returns every
// station that answered until the wait was over, in the order of their first
// answers; none means that nobody has it. This host does not hear itself, so if
// it holds the address there, each answer is a conflict; otherwise two are.
//
// Unless Question.From is set, the probes change no neighbour's table: for IPv4
// they are those of RFC 5227 section 2.1.1, with sender address 0.0.0.0, for IPv6
// the solicitations of RFC 4862 section 5.4.2, from the unspecified address. A
// station that is itself still checking an IPv6 address for duplicates takes such
// a solicitation for one. An answer is whatever those sections take as a conflict:
// a reply for the address, or any other ARP packet sent from it, or a neighbour
// advertisement for it. If ctx ends first, the answers so far come with its error.
// Needs CAP_NET_RAW.
func Ask(ctx context.Context, q Question) ([]Answer, error) {
	answers, err := ask(ctx, q, 0)
	if err != nil {
		return answers, fmt.Errorf("asking for %s on %s: %w", q.Address, q.Interface, err)
	}
	return answers, nil
}

// ask collects answers until the wait is over, or there are enough; 0: there never
// are.
func ask(ctx context.Context, question Question, enough int) ([]Answer, error) {
	wait, count := question.Wait, cmp.Or(question.Count, probes)
	if wait <= 0 || count < 0 {
		return nil, errors.New("there is no time to wait for an answer")
	}
	q, err := newQuestioner(question)
	if err != nil {
		return nil, err
	}
	defer func() { _ = q.conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = q.conn.Close() })
	defer stop()
	var answers []Answer
	start := time.Now()
	for asked := 0; ; {
		elapsed := time.Since(start)
		if elapsed >= wait {
			return answers, nil
		}
		next := wait * time.Duration(asked) / time.Duration(count)
		if asked < count && elapsed >= next {
			if err := send(q.conn, q.to, q.data); err != nil {
				return answers, contextOr(ctx, err)
			}
			asked++
			continue
		}
		claim, err := receive(q.conn, start.Add(min(next, wait)), q.parse)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			return answers, contextOr(ctx, err)
		case claim.Address == question.Address:
			if answers = collect(answers, claim.MAC, time.Since(start)); len(answers) == enough {
				return answers, nil
			}
		}
	}
}

// questioner is a socket that receives answers about one address, and the packet
// that asks for them.
type questioner struct {
	conn  *packet.Conn
	to    net.HardwareAddr
	data  []byte
	parse parser
}

// parser reads a packet that came from an Ethernet address.
type parser func(data []byte, from net.HardwareAddr) (Claim, bool)

func parseARP(data []byte, _ net.HardwareAddr) (Claim, bool) { return parseClaim(data) }

func newQuestioner(asked Question) (*questioner, error) {
	addr := asked.Address
	q := &questioner{to: broadcast(), parse: parseARP}
	etherType, filter := etherTypeARP, senderFilter
	if !addr.Is4() {
		etherType, filter, q.parse = etherTypeIPv6, advertisementFilter, parseAdvertisement
	}
	if !addr.Is4() && (addr.Is4In6() || addr.Zone() != "" || !addr.IsValid()) {
		return nil, fmt.Errorf("%s is not an address as packets carry it: %w", addr, errors.ErrUnsupported)
	}
	if asked.From.IsValid() && (asked.From.Is4() != addr.Is4() || asked.From.Zone() != "") {
		return nil, fmt.Errorf("%s cannot be asked for from %s: %w", addr, asked.From, errors.ErrUnsupported)
	}
	conn, ifi, err := listen(asked.Interface, etherType, filter(addr))
	if err != nil {
		return nil, err
	}
	q.conn = conn
	if addr.Is4() {
		q.data, err = question(ifi.HardwareAddr, asked.From, addr)
	} else {
		q.data, q.to, err = solicitation(ifi.HardwareAddr, asked.From, addr)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return q, nil
}

// advertisementFilter lets neighbour advertisements for addr pass.
func advertisementFilter(addr netip.Addr) []bpf.Instruction {
	octets := addr.As16()
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: nextHeaderOffset6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: nextHeader6, SkipFalse: 11},
		bpf.LoadAbsolute{Off: typeOffset6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeAdvertisement, SkipFalse: 9},
	}
	for i := range 4 {
		program = append(program,
			bpf.LoadAbsolute{Off: targetOffset6 + uint32(4*i), Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(octets[4*i:]), SkipFalse: uint8(7 - 2*i)},
		)
	}
	return append(program, bpf.RetConstant{Val: maxPacket6}, bpf.RetConstant{Val: 0})
}

// senderFilter lets packets pass whose sender address is addr.
func senderFilter(addr netip.Addr) []bpf.Instruction {
	octets := addr.As4()
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: senderOffset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(octets[:]), SkipFalse: 1},
		bpf.RetConstant{Val: maxPacket},
		bpf.RetConstant{Val: 0},
	}
}

// maxPacket is more than the longest ARP packet for Ethernet and IPv4, padded.
const maxPacket = 128

// maxPacket6 is more than any neighbour advertisement that makes sense.
const maxPacket6 = 1500

// receive returns the next packet that claims an address. What is malformed or
// claims nothing is the zero Claim: the caller looks at the time and goes on.
func receive(conn *packet.Conn, deadline time.Time, parse parser) (Claim, error) {
	if err := conn.SetReadDeadline(deadline); err != nil {
		return Claim{}, err
	}
	var buf [maxPacket6]byte
	n, from, err := conn.ReadFrom(buf[:])
	if err != nil {
		return Claim{}, err
	}
	var mac net.HardwareAddr
	if a, ok := from.(*packet.Addr); ok {
		mac = a.HardwareAddr
	}
	claim, _ := parse(buf[:n], mac)
	return claim, nil
}

// contextOr returns the context's error if that is why err happened.
func contextOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Claims reports every ARP packet and every neighbour advertisement on the
// interface in which another station claims an address for which held returns
// true, until ctx ends; it then returns nil. That is how a conflict is noticed
// without asking. Both functions are called by two goroutines, at the rate of the
// packets. Needs CAP_NET_RAW.
func Claims(ctx context.Context, ifname string, held func(netip.Addr) bool, sink func(Claim)) error {
	conn, ifi, err := listen(ifname, etherTypeARP, []bpf.Instruction{bpf.RetConstant{Val: maxPacket}})
	if err != nil {
		return fmt.Errorf("listening for ARP on %s: %w", ifname, err)
	}
	conn6, _, err := listen(ifname, etherTypeIPv6, anyAdvertisement())
	if err != nil {
		_ = conn.Close()
		return fmt.Errorf("listening for neighbour advertisements on %s: %w", ifname, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _, _ = conn.Close(), conn6.Close() })
	defer stop()
	ear := func(c Claim) {
		if own := bytes.Equal(c.MAC, ifi.HardwareAddr); c.Address.IsValid() && !own && held(c.Address) {
			sink(c)
		}
	}
	ended := make(chan error, 2)
	go func() { ended <- hear(ctx, conn, parseARP, ear) }()
	go func() { ended <- hear(ctx, conn6, parseAdvertisement, ear) }()
	err = <-ended
	cancel()
	if err = errors.Join(err, <-ended); err != nil {
		return fmt.Errorf("listening for claims on %s: %w", ifname, err)
	}
	return nil
}

// hear hands claims to ear until ctx ends.
func hear(ctx context.Context, conn *packet.Conn, parse parser, ear func(Claim)) error {
	for {
		claim, err := receive(conn, time.Time{}, parse)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		ear(claim)
	}
}

// anyAdvertisement lets neighbour advertisements pass.
func anyAdvertisement() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: nextHeaderOffset6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: nextHeader6, SkipFalse: 3},
		bpf.LoadAbsolute{Off: typeOffset6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeAdvertisement, SkipFalse: 1},
		bpf.RetConstant{Val: maxPacket6},
		bpf.RetConstant{Val: 0},
	}
}
