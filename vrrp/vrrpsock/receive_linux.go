package vrrpsock

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/vrrp"
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// receiver is what Receive reuses. The batch reader of x/net makes two objects
// for each packet, an address that the IP header gives anyway.
type receiver struct {
	family  vrrp.Family
	headers []mmsghdr
	vectors []unix.Iovec
	beside  []beside // IPv6 only
	n       int
	errno   unix.Errno
	// Bound once, since a closure for each call would be garbage: call receives what
	// is there by take, and reports false if there is nothing.
	call func(uintptr) bool
	take func(fd uintptr)
	some bool
}

func (r *receiver) init(family vrrp.Family, socket syscall.RawConn) {
	r.family = family
	r.take = func(fd uintptr) { r.some = r.recvmmsg(fd) }
	r.call = func(uintptr) bool {
		if err := socket.Control(r.take); err != nil {
			r.errno, r.n, r.some = unix.EBADF, 0, true
		}
		return r.some
	}
}

// Receive implements vrrp.Port with recvmmsg(2).
func (p *port) Receive(into []vrrp.Datagram) (int, error) {
	r := &p.receiver
	for {
		r.lend(into)
		if err := p.quiet.poll.Read(r.call); err != nil || r.errno == unix.EBADF {
			return 0, fmt.Errorf("receiving on %s: %w", p.ifname, net.ErrClosed)
		}
		if r.errno != 0 {
			return 0, fmt.Errorf("receiving on %s: %w", p.ifname, os.NewSyscallError("recvmmsg", r.errno))
		}
		good := 0
		for i := range r.n {
			// What is no VRRP packet leaves its place, and its buffer, to the next.
			if r.parse(i, &into[i]) {
				into[good], into[i] = into[i], into[good]
				good++
			}
		}
		if good > 0 {
			return good, nil
		}
	}
}

// parse fills a datagram from what was received for it.
func (r *receiver) parse(i int, d *vrrp.Datagram) bool {
	h := &r.headers[i]
	if h.hdr.Flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		return false
	}
	received := d.Buffer[:h.len]
	if r.family == vrrp.IPv4 {
		return parseHeader(received, d)
	}
	d.Payload = received
	b := &r.beside[i]
	d.Source = netip.AddrFrom16(b.from.Addr)
	return parseControl(b.control[:h.hdr.Controllen], d)
}

// lend points the headers at the buffers of the datagrams.
func (r *receiver) lend(into []vrrp.Datagram) {
	if len(r.headers) < len(into) {
		r.headers, r.vectors = make([]mmsghdr, len(into)), make([]unix.Iovec, len(into))
		if r.family == vrrp.IPv6 {
			r.beside = make([]beside, len(into))
		}
	}
	for i := range into {
		r.vectors[i].Base = &into[i].Buffer[0]
		r.vectors[i].SetLen(len(into[i].Buffer))
		r.headers[i] = mmsghdr{hdr: unix.Msghdr{Iov: &r.vectors[i]}}
		r.headers[i].hdr.SetIovlen(1)
		if r.family == vrrp.IPv6 {
			r.beside[i].lend(&r.headers[i].hdr)
		}
	}
	r.n = len(into)
}

// recvmmsg takes what is there, and reports false if there is nothing.
func (r *receiver) recvmmsg(fd uintptr) bool {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.headers[0])), uintptr(r.n),
			unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		r.errno, r.n = errno, 0
		if errno == 0 {
			r.n = int(n)
		}
		return true
	}
}
