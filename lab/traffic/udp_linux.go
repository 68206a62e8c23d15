package traffic

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// readEvery is how often answers are read. The kernel notes when each arrived, so
// it need not wake the client for every one, which is dear on a slow machine.
const readEvery = 20 * time.Millisecond

// open prepares the stream: a raw socket that sends whole packets, and a packet
// socket that sees what is addressed to the flow sources, with its time to live
// and the kernel's time of arrival: a client that is late to read blames nobody.
func (cfg UDPConfig) open(s *stream) (func(context.Context) error, error) {
	if cfg.Target.Addr().BitLen() != cfg.Sources.Addr().BitLen() || cfg.Sources.Addr().BitLen()-cfg.Sources.Bits() < 8 {
		return nil, fmt.Errorf("sending UDP requests to %s from %s: needs sources of the target's family, 256 addresses at least", cfg.Target, cfg.Sources)
	}
	raw, err := unix.Socket(domain(cfg.Target.Addr()), unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, fmt.Errorf("opening a raw socket: %w", os.NewSyscallError("socket", err))
	}
	capture, err := openCapture(cfg.Interface, cfg.Sources)
	if err != nil {
		_ = unix.Close(raw)
		return nil, fmt.Errorf("opening a packet socket on %s: %w", cfg.Interface, err)
	}
	target := socketAddress(netip.AddrPortFrom(cfg.Target.Addr(), 0))
	var packet []byte
	s.send = func(seq uint64) error {
		packet = buildRequest(packet[:0], flow(cfg.Sources, seq), cfg.Target, seq)
		return unix.Sendto(raw, packet, 0, target)
	}
	return func(ctx context.Context) error {
		defer func() { _ = unix.Close(raw) }()
		defer func() { _ = unix.Close(capture) }()
		return receiveUDP(ctx, s, capture)
	}, nil
}

// openCapture opens a packet socket for IP packets to the addresses of network.
func openCapture(name string, network netip.Prefix) (fd int, err error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return -1, err
	}
	// Protocol 0 receives nothing until the filter is in place.
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	filter, err := destinationFilter(network)
	if err != nil {
		return -1, err
	}
	// A packet is some hundred bytes of the buffer: this is for seconds of stall.
	const receiveBuffer = 4 << 20
	for _, err := range []error{
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, filter),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer),
	} {
		if err != nil {
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	protocol := uint16(unix.ETH_P_IP)
	if network.Addr().Is6() {
		protocol = unix.ETH_P_IPV6
	}
	at := &unix.SockaddrLinklayer{Protocol: networkOrder(protocol), Ifindex: ifi.Index}
	if err := unix.Bind(fd, at); err != nil {
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}

func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// destinationFilter passes IP packets to network.
func destinationFilter(network netip.Prefix) (*unix.SockFprog, error) {
	offset := uint32(16) // of the destination in an IPv4 header
	if network.Addr().Is6() {
		offset = 24
	}
	var instructions []bpf.Instruction
	address := network.Masked().Addr().AsSlice()
	for bits := network.Bits(); bits > 0; bits -= 32 {
		instructions = append(instructions,
			bpf.LoadAbsolute{Off: offset, Size: 4},
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: ^uint32(0) << max(32-bits, 0)},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(address), SkipTrue: 1},
			bpf.RetConstant{Val: 0},
		)
		offset, address = offset+4, address[4:]
	}
	raw, err := bpf.Assemble(append(instructions, bpf.RetConstant{Val: 0xffff}))
	if err != nil {
		return nil, fmt.Errorf("assembling a filter: %w", err)
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}, nil
}

// receiveUDP feeds the ledger until ctx ends.
func receiveUDP(ctx context.Context, s *stream, fd int) error {
	ticker := time.NewTicker(readEvery)
	defer ticker.Stop()
	packet, control := make([]byte, 2048), make([]byte, 256)
	for ctx.Err() == nil {
		n, controlLength, _, _, err := unix.Recvmsg(fd, packet, control, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
			continue
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENETDOWN):
			continue // told once when the interface goes down; the socket lives on
		case err != nil:
			return fmt.Errorf("receiving answers: %w", os.NewSyscallError("recvmsg", err))
		}
		at := s.elapsed() - age(control[:controlLength])
		r, ok := parseReply(packet[:n])
		switch {
		case !ok:
		case r.refused:
			s.fail(r.seq, Refused)
		default:
			s.answer(r.seq, at, r.server, r.ttl)
		}
	}
	return nil
}

// age is how long ago the kernel received a packet.
func age(control []byte) time.Duration {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		var ts unix.Timespec
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(ts)) {
			ts = *(*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			return max(time.Since(time.Unix(ts.Unix())), 0)
		}
	}
	return 0
}
