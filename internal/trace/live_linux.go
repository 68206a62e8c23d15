package trace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/doctor"
)

// Capture calls sink, on one goroutine at a time, for every frame of the client's
// traffic that passes one of the interfaces, in or out, until ctx ends or sink
// returns false. ready is called once all interfaces are listened on. It needs
// CAP_NET_RAW.
func Capture(ctx context.Context, w Watch, names *doctor.Directory, ready func(), sink func(Frame) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var conns []*packet.Conn
	closeAll := func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	defer closeAll()
	var interfaces []*net.Interface
	for _, name := range w.Interfaces {
		conn, ifi, err := tap(name, w.Client.Addr())
		if err != nil {
			return fmt.Errorf("capturing on %s: %w", name, err)
		}
		conns, interfaces = append(conns, conn), append(interfaces, ifi)
	}
	stop := context.AfterFunc(ctx, closeAll)
	defer stop()
	ready()
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failure error
	for i, conn := range conns {
		wait.Go(func() {
			err := listen(conn, func(b []byte) {
				f, ok := parseFrame(b)
				if !ok || !w.belongs(f) {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if ctx.Err() == nil && !sink(named(f, interfaces[i], names)) {
					cancel()
				}
			})
			mu.Lock()
			defer mu.Unlock()
			if ctx.Err() == nil {
				failure = errors.Join(failure, fmt.Errorf("capturing on %s: %w", interfaces[i].Name, err))
				cancel()
			}
		})
	}
	wait.Wait()
	return failure
}

func named(f Frame, ifi *net.Interface, names *doctor.Directory) Frame {
	f.At, f.Interface, f.Out = time.Now(), ifi.Name, f.SourceMAC == ifi.HardwareAddr.String()
	for mac, name := range map[string]*string{f.SourceMAC: &f.From, f.DestinationMAC: &f.To} {
		if parsed, err := net.ParseMAC(mac); err == nil {
			*name = names.Name(parsed)
		}
	}
	return f
}

func listen(conn *packet.Conn, take func([]byte)) error {
	buffer := make([]byte, snap)
	for {
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			return err
		}
		take(buffer[:n])
	}
}

// tap opens a socket that sees the frames of an address, in both directions.
func tap(name string, client netip.Addr) (*packet.Conn, *net.Interface, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, nil, err
	}
	filter, err := bpf.Assemble(ofAddress(client))
	if err != nil {
		return nil, nil, fmt.Errorf("assembling the filter: %w", err)
	}
	conn, err := packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, &packet.Config{Filter: filter})
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil, fmt.Errorf("%w (needs root or the capability CAP_NET_RAW)", err)
	}
	return conn, ifi, err
}
