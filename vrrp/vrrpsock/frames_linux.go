package vrrpsock

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/vrrp"
)

// frames sends adverts by the interface of a virtual MAC address, which has no
// address to send from: the kernel makes the Ethernet header, the IP header is made
// here.
type frames struct {
	family vrrp.Family

	mu      sync.Mutex // Close may come while another goroutine sends
	fd      int        // guarded by mu; -1 when closed
	indices map[string]uint32
	to      []unix.RawSockaddrLinklayer
	heads   [][headerLen6]byte
	vectors []unix.Iovec
	headers []mmsghdr
}

const headerLen6 = 40

func (f *frames) open(family vrrp.Family) error {
	f.family, f.fd, f.indices = family, -1, map[string]uint32{}
	// Protocol 0: it receives nothing.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("opening a packet socket: %w", os.NewSyscallError("socket", err))
	}
	f.fd = fd
	return nil
}

func (f *frames) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
	}
	f.fd = -1
}

// send returns how many messages, counted from the first, went out by the interface
// that each names.
func (f *frames) send(source netip.Addr, messages []vrrp.Outgoing) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd < 0 {
		return 0
	}
	n, errno := f.try(source, messages)
	if n == 0 && (errno == unix.ENXIO || errno == unix.ENODEV) {
		// The interface was made anew.
		delete(f.indices, messages[0].Via)
		n, _ = f.try(source, messages)
	}
	return n
}

func (f *frames) try(source netip.Addr, messages []vrrp.Outgoing) (int, unix.Errno) {
	f.room(len(messages))
	for i, m := range messages {
		index, known := f.index(m.Via)
		if !known {
			if messages = messages[:i]; i == 0 {
				return 0, unix.ENODEV
			}
			break
		}
		f.prepare(i, index, source, m.Message)
	}
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(f.fd), uintptr(unsafe.Pointer(&f.headers[0])), uintptr(len(messages)),
		unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// room makes the arrays long enough, before anything points into them.
func (f *frames) room(n int) {
	if n > len(f.headers) {
		f.to, f.heads = make([]unix.RawSockaddrLinklayer, n), make([][headerLen6]byte, n)
		f.vectors, f.headers = make([]unix.Iovec, 2*n), make([]mmsghdr, n)
	}
}

func (f *frames) prepare(i int, index uint32, source netip.Addr, message []byte) {
	f.to[i] = linkGroup(f.family, index)
	var head []byte
	if f.family == vrrp.IPv4 {
		head = header4(&f.heads[i], source, len(message))
	} else {
		head = header6(&f.heads[i], source, len(message))
	}
	v := f.vectors[2*i : 2*i+2]
	v[0].Base, v[1].Base = &head[0], &message[0]
	v[0].SetLen(len(head))
	v[1].SetLen(len(message))
	h := &f.headers[i].hdr
	*h = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&f.to[i])), Namelen: unix.SizeofSockaddrLinklayer, Iov: &v[0]}
	h.SetIovlen(2)
}

// index returns the index of an interface, as last known.
func (f *frames) index(name string) (uint32, bool) {
	if index, known := f.indices[name]; known {
		return index, true
	}
	r, err := unix.NewIfreq(name)
	if err != nil || unix.IoctlIfreq(f.fd, unix.SIOCGIFINDEX, r) != nil {
		return 0, false
	}
	f.indices[name] = r.Uint32()
	return r.Uint32(), true
}

// linkGroup is the Ethernet address of the family's group (RFC 1112, section 6.4, and
// RFC 2464, section 7) on an interface.
func linkGroup(family vrrp.Family, index uint32) unix.RawSockaddrLinklayer {
	a := unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Ifindex: int32(index), Halen: 6}
	etherType, group := uint16(unix.ETH_P_IP), [8]byte{0x01, 0x00, 0x5e, 0x00, 0x00, 0x12}
	if family == vrrp.IPv6 {
		etherType, group = unix.ETH_P_IPV6, [8]byte{0x33, 0x33, 0x00, 0x00, 0x00, 0x12}
	}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&a.Protocol))[:], etherType)
	a.Addr = group
	return a
}

// header4 writes the IPv4 header of an advert to the group.
func header4(b *[headerLen6]byte, source netip.Addr, length int) []byte {
	*b = [headerLen6]byte{0: 0x45, 1: tos, 6: 0x40 /* do not fragment */, 8: ttl, 9: vrrp.Protocol}
	h := b[:minHeader]
	binary.BigEndian.PutUint16(h[2:], uint16(minHeader+length))
	from, to := source.As4(), vrrp.Group.As4()
	copy(h[12:], from[:])
	copy(h[16:], to[:])
	sum := uint32(0)
	for i := 0; i < minHeader; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(h[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(h[10:], ^uint16(sum))
	return h
}

// header6 writes the IPv6 header of an advert to the group.
func header6(b *[headerLen6]byte, source netip.Addr, length int) []byte {
	*b = [headerLen6]byte{0: 0x60 | tos>>4, 1: tos & 0xf << 4, 6: vrrp.Protocol, 7: ttl}
	binary.BigEndian.PutUint16(b[4:], uint16(length))
	from, to := source.As16(), vrrp.Group6.As16()
	copy(b[8:], from[:])
	copy(b[24:], to[:])
	return b[:]
}
