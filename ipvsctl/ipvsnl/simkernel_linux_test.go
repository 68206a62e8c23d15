package ipvsnl

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

// simKernel answers netlink requests from a fake table as the kernel does:
// requests of one send in order, a verdict for each failure and for each request
// that asks for one, dumps in parts. What it cannot show is that both sides
// mean the same by the bytes; that is for the tests on a kernel.
type simKernel struct {
	table *ipvstest.Fake

	mu      sync.Mutex
	family  uint16 // 0 = ip_vs is not loaded
	dials   int
	sends   []int // requests in each send
	answers func(queue [][]byte) ([][]byte, error)
}

func newSimKernel() *simKernel {
	return &simKernel{table: ipvstest.NewFake(), family: 32}
}

func (k *simKernel) dial() (*netlink.Conn, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dials++
	return netlink.NewConn(&simSocket{kernel: k, wake: make(chan struct{}, 1)}, 4711), nil
}

func (k *simKernel) load(family uint16) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.family = family
}

// tamper lets fn change what the kernel is about to answer to each send.
func (k *simKernel) tamper(fn func([][]byte) ([][]byte, error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answers = fn
}

// simSocket is one socket: netlink.Socket with deadlines.
type simSocket struct {
	kernel *simKernel

	mu       sync.Mutex
	queue    [][]byte
	err      error // returned when the queue is empty
	closed   bool
	deadline time.Time
	wake     chan struct{}
}

func (s *simSocket) Send(m netlink.Message) error { return s.SendMessages([]netlink.Message{m}) }

func (s *simSocket) SendMessages(batch []netlink.Message) error {
	k := s.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	var answers [][]byte
	for _, m := range batch {
		answers = append(answers, k.handle(m)...)
	}
	var err error
	if len(batch) > 0 && batch[0].Header.Type != unix.GENL_ID_CTRL {
		k.sends = append(k.sends, len(batch))
		if k.answers != nil {
			answers, err = k.answers(answers)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, answers...)
	s.err = err
	s.signal()
	return nil
}

func (s *simSocket) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *simSocket) ReceiveIter() iter.Seq2[netlink.Message, error] {
	return func(yield func(netlink.Message, error) bool) {
		datagram, err := s.receive()
		if err != nil {
			yield(netlink.Message{}, err)
			return
		}
		for len(datagram) > 0 {
			length := binary.NativeEndian.Uint32(datagram)
			var m netlink.Message
			if err := m.UnmarshalBinary(datagram[:length]); !yield(m, err) || err != nil {
				return
			}
			datagram = datagram[length:]
		}
	}
}

// receive waits until there is an answer, an error or a deadline that passed.
func (s *simSocket) receive() ([]byte, error) {
	for {
		s.mu.Lock()
		switch {
		case s.closed:
			s.mu.Unlock()
			return nil, os.ErrClosed
		case len(s.queue) > 0:
			datagram := s.queue[0]
			s.queue = s.queue[1:]
			s.mu.Unlock()
			return datagram, nil
		case s.err != nil:
			err := s.err
			s.mu.Unlock()
			return nil, err
		}
		wait := time.Until(s.deadline)
		s.mu.Unlock()
		if wait <= 0 {
			return nil, os.ErrDeadlineExceeded
		}
		select {
		case <-s.wake:
		case <-time.After(wait):
		}
	}
}

func (s *simSocket) Receive() ([]netlink.Message, error) {
	var all []netlink.Message
	for m, err := range s.ReceiveIter() {
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func (s *simSocket) SetDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	s.signal()
	return nil
}

func (s *simSocket) SetReadDeadline(t time.Time) error  { return s.SetDeadline(t) }
func (s *simSocket) SetWriteDeadline(t time.Time) error { return nil }

func (s *simSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.signal()
	return nil
}

// handle answers one request with datagrams.
func (k *simKernel) handle(m netlink.Message) [][]byte {
	if m.Header.Type == unix.GENL_ID_CTRL {
		return k.controller(m)
	}
	if uint16(m.Header.Type) != k.family {
		return [][]byte{verdictTo(m, unix.ENOENT)}
	}
	switch cmd := m.Data[0]; cmd {
	case cmdGetService, cmdGetDest:
		return k.get(m, cmd)
	default:
		errno := k.change(m, cmd)
		if errno == 0 && m.Header.Flags&netlink.Acknowledge == 0 {
			return nil
		}
		return [][]byte{verdictTo(m, errno)}
	}
}

func (k *simKernel) controller(m netlink.Message) [][]byte {
	if k.family == 0 {
		return [][]byte{verdictTo(m, unix.ENOENT)}
	}
	b := buffer{unix.CTRL_CMD_NEWFAMILY, 2, 0, 0}
	b.u16(unix.CTRL_ATTR_FAMILY_ID, k.family)
	b.text(unix.CTRL_ATTR_FAMILY_NAME, familyName)
	return [][]byte{answerTo(m, 0, m.Header.Type, b)}
}

// get answers a request for services or destinations, each in a part of its own.
func (k *simKernel) get(m netlink.Message, cmd uint8) [][]byte {
	dump := m.Header.Flags&netlink.Dump == netlink.Dump
	var live ipvsctl.LiveTable
	if asked, err := decodeService(m.Data); err == nil {
		live, _ = k.table.ReadServices(context.Background(), []ipvsctl.ServiceKey{asked.Key})
	} else if dump && cmd == cmdGetService {
		live, _ = k.table.Read(context.Background())
	}
	var parts [][]byte
	for _, s := range live {
		if cmd == cmdGetService {
			parts = append(parts, liveServiceBytes(s))
			continue
		}
		for _, d := range s.Dests {
			parts = append(parts, liveDestBytes(d))
		}
	}
	if !dump {
		if len(parts) == 0 {
			return [][]byte{verdictTo(m, unix.ESRCH)}
		}
		return [][]byte{answerTo(m, 0, m.Header.Type, parts[0])}
	}
	var datagrams [][]byte
	for _, p := range parts {
		datagrams = append(datagrams, answerTo(m, netlink.Multi, m.Header.Type, p))
	}
	return append(datagrams, answerTo(m, netlink.Multi, netlink.Done, make([]byte, 4)))
}

func liveServiceBytes(s ipvsctl.LiveService) []byte {
	var b buffer
	b.header(cmdNewService)
	b.service(&s.Service, true)
	return b
}

func liveDestBytes(d ipvsctl.LiveDest) []byte {
	var b buffer
	b.header(cmdNewDest)
	b.dest(&d.Dest, true)
	return b
}

func (k *simKernel) change(m netlink.Message, cmd uint8) unix.Errno {
	op := ipvsctl.Op{}
	for kind, c := range commands {
		if c == cmd {
			op.Kind = ipvsctl.OpKind(kind)
		}
	}
	s, err := decodeService(m.Data)
	if err != nil {
		return unix.EINVAL
	}
	op.Service = s.Service
	if op.Kind.OnDest() {
		d, err := decodeDest(m.Data, s.Key.AddressFamily())
		if err != nil {
			return unix.EINVAL
		}
		op.Dest = d.Dest
	}
	errs := k.table.Apply(context.Background(), []ipvsctl.Op{op})
	if errs == nil {
		return 0
	}
	for meaning, errno := range map[error]unix.Errno{
		ipvsctl.ErrExist: unix.EEXIST, ipvsctl.ErrNoService: unix.ESRCH, ipvsctl.ErrNoDest: unix.ENOENT,
		ipvsctl.ErrNoModule: unix.ENOENT, ipvsctl.ErrRange: unix.ERANGE, ipvsctl.ErrInvalid: unix.EINVAL,
	} {
		if errors.Is(errs[0], meaning) {
			return errno
		}
	}
	return unix.EIO
}

func verdictTo(m netlink.Message, errno unix.Errno) []byte {
	data := binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno)))
	header := m
	header.Data = nil
	header.Header.Length = syscall.NLMSG_HDRLEN
	request, _ := header.MarshalBinary()
	return answerTo(m, 0, netlink.Error, append(data, request...))
}

// turnIntoVerdict changes an answer to a failure with the given number.
func turnIntoVerdict(datagram []byte, errno unix.Errno) {
	binary.NativeEndian.PutUint16(datagram[4:], uint16(netlink.Error))
	binary.NativeEndian.PutUint16(datagram[6:], 0)
	binary.NativeEndian.PutUint32(datagram[syscall.NLMSG_HDRLEN:], uint32(-int32(errno)))
}

func answerTo(m netlink.Message, flags netlink.HeaderFlags, typ netlink.HeaderType, data []byte) []byte {
	for len(data)%4 != 0 {
		data = append(data, 0)
	}
	answer := netlink.Message{
		Header: netlink.Header{
			Length: uint32(syscall.NLMSG_HDRLEN + len(data)), Type: typ, Flags: flags,
			Sequence: m.Header.Sequence, PID: m.Header.PID,
		},
		Data: data,
	}
	b, err := answer.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return b
}
