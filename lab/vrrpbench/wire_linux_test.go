package vrrpbench

import (
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/vrrp"
)

// flow is one virtual router on one link.
type flow struct {
	link int
	vrid byte
}

// wire listens to the adverts that arrive at a host, with the kernel's time of
// their arrival.
type wire struct {
	b  *testing.B
	mu sync.Mutex
	// Guarded by mu: the first and the last of each flow since the last reset, and
	// how much the time between two differs from the interval.
	first, last map[flow]time.Time
	off         []time.Duration
	interval    time.Duration
}

func listen(b *testing.B, at *testenv.Netns, links int, interval time.Duration) *wire {
	b.Helper()
	w := &wire{b: b, interval: interval}
	w.reset()
	for i := range links {
		fd := -1
		at.Do(b, func() {
			ifi, err := net.InterfaceByName(linkName(i))
			if err == nil {
				fd, err = capture(ifi.Index)
			}
			if err != nil {
				b.Error(err)
			}
		})
		if fd < 0 {
			b.FailNow()
		}
		done := make(chan struct{})
		go func() { defer close(done); w.read(fd, i) }()
		b.Cleanup(func() {
			_ = unix.Shutdown(fd, unix.SHUT_RD)
			<-done
			_ = unix.Close(fd)
		})
	}
	return w
}

// capture opens a socket for what arrives at an interface.
func capture(index int) (int, error) {
	const ipv4 = 0x0008 // ETH_P_IP in network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, ipv4)
	if err != nil {
		return -1, err
	}
	for _, set := range []func() error{
		func() error { return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: ipv4, Ifindex: index}) },
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) },
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20) },
		func() error {
			return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
		},
	} {
		if err := set(); err != nil {
			_ = unix.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

func (w *wire) read(fd, link int) {
	packet, control := make([]byte, 2048), make([]byte, 256)
	for w.b.Context().Err() == nil {
		n, oobn, _, from, err := unix.Recvmsg(fd, packet, control, 0)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		if l, ok := from.(*unix.SockaddrLinklayer); !ok || l.Pkttype == unix.PACKET_OUTGOING || n < 28 || packet[9] != vrrp.Protocol {
			continue
		}
		head := int(packet[0]&15) * 4
		if n < head+8 || packet[head+2] == 0 {
			continue // priority 0 is a farewell
		}
		w.note(flow{link, packet[head+1]}, arrival(control[:oobn]))
	}
}

// arrival reads the kernel's time.
func arrival(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err == nil {
		for _, m := range messages {
			if m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
				return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
			}
		}
	}
	return time.Now()
}

func (w *wire) note(f flow, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.first[f]; !known {
		w.first[f] = at
	} else {
		w.off = append(w.off, at.Sub(w.last[f])-w.interval)
	}
	w.last[f] = at
}

func (w *wire) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.first, w.last, w.off = map[flow]time.Time{}, map[flow]time.Time{}, nil
}

// all waits until so many virtual routers have been heard and returns when the
// last of them was for the first time.
func (w *wire) all(count int) time.Time {
	w.b.Helper()
	eventually(w.b, "an advert of every virtual router", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.first) == count
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	var latest time.Time
	for _, at := range w.first {
		if at.After(latest) {
			latest = at
		}
	}
	return latest
}

// late returns by how much adverts came later after the one before than an interval.
func (w *wire) late() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]time.Duration, len(w.off))
	for i, d := range w.off {
		out[i] = max(d, 0)
	}
	return out
}
