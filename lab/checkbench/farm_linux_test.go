package checkbench

import (
	"errors"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// farm is one socket that answers for all of 127.0.0.0/8, so that there can be
// more real servers than a host has memory for. It accepts and closes, as cheaply
// as can be, and takes note of when each address was connected to.
type farm struct {
	port     uint16
	accepted atomic.Int64
	visits   []visit // by index; the accepting thread's
	measure  atomic.Bool
	talk     atomic.Bool  // it answers HTTP
	longest  atomic.Int64 // gap between two visits while measure was set, in nanoseconds
	missing  atomic.Int64 // addresses that nobody has visited yet
}

type visit struct{ last time.Time }

// addressOf is the address of a real server, of which there may be 16 million.
func addressOf(i int) netip.Addr {
	i += 1 << 16
	return netip.AddrFrom4([4]byte{127, byte(i >> 16), byte(i >> 8), byte(i)})
}

func newFarm(b *testing.B, count int) *farm {
	b.Helper()
	f := &farm{visits: make([]visit, count)}
	f.missing.Store(int64(count))
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = errors.Join(unix.Bind(socket, &unix.SockaddrInet4{}), unix.Listen(socket, 1<<15))
	}
	if err != nil {
		b.Fatal(err)
	}
	at, err := unix.Getsockname(socket)
	if err != nil {
		b.Fatal(err)
	}
	f.port = uint16(at.(*unix.SockaddrInet4).Port)
	ended := make(chan struct{})
	go f.accept(socket, ended)
	b.Cleanup(func() {
		_ = unix.Shutdown(socket, unix.SHUT_RD) // which ends the accepting
		<-ended
		_ = unix.Close(socket)
	})
	return f
}

func (f *farm) accept(socket int, ended chan<- struct{}) {
	defer close(ended)
	runtime.LockOSThread()
	for {
		conn, _, err := unix.Accept4(socket, unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
			continue
		case err != nil:
			return
		}
		f.accepted.Add(1)
		if local, err := unix.Getsockname(conn); err == nil {
			a := local.(*unix.SockaddrInet4).Addr
			f.visited(int(a[1])<<16 + int(a[2])<<8 + int(a[3]) - 1<<16)
		}
		if f.talk.Load() {
			converse(conn)
		} else {
			_ = unix.Close(conn)
		}
	}
}

func (f *farm) visited(i int) {
	if i < 0 || i >= len(f.visits) {
		return
	}
	v, now := &f.visits[i], time.Now()
	if v.last.IsZero() {
		f.missing.Add(-1)
	} else if gap := now.Sub(v.last); f.measure.Load() && int64(gap) > f.longest.Load() {
		f.longest.Store(int64(gap))
	}
	v.last = now
}
