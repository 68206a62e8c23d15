package traffic

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// download is one connection that lasts.
type download struct {
	mu    sync.Mutex
	state Download
	last  time.Time
}

func (d *download) note(change func(*Download)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.state.Silence = max(d.state.Silence, now.Sub(d.last))
	d.last = now
	change(&d.state)
}

func (d *download) now() Download {
	d.mu.Lock()
	defer d.mu.Unlock()
	state := d.state
	if state.Broken == "" {
		state.Silence = max(state.Silence, time.Since(d.last))
	}
	return state
}

// read reads until the connection ends.
func (d *download) read(conn net.Conn) {
	r := bufio.NewReader(conn)
	name, err := r.ReadString('\n')
	d.note(func(s *Download) { s.Server = strings.TrimSuffix(name, "\n") })
	buffer := make([]byte, 4*streamChunk)
	for err == nil {
		var n int
		n, err = r.Read(buffer)
		d.note(func(s *Download) { s.Bytes += int64(n) })
	}
	d.note(func(s *Download) { s.Broken = err.Error() })
}

// runDownloads opens the connections, tells their state every tenth of a second,
// and ends with a last word when it is told to stop.
func runDownloads(ctx context.Context, cfg DownloadConfig, commands <-chan Command, out *lines) error {
	if cfg.Count < 1 || len(cfg.Targets) == 0 {
		return errors.New("downloads need a count and a target")
	}
	var all []*download
	for _, target := range cfg.Targets {
		for i := range cfg.Count {
			d, conn, err := cfg.open(ctx, target, i)
			if err != nil {
				return fmt.Errorf("opening download %d from %s: %w", i+1, target, err)
			}
			defer func() { _ = conn.Close() }()
			all = append(all, d)
			go d.read(conn)
		}
	}
	if err := out.write(Message{Ready: true}); err != nil {
		return fmt.Errorf("saying that the downloads are ready: %w", err)
	}
	tell := func() error {
		states := make([]Download, len(all))
		for i, d := range all {
			states[i] = d.now()
		}
		if err := out.write(Message{Downloads: states}); err != nil {
			return fmt.Errorf("telling the downloads: %w", err)
		}
		return nil
	}
	ticker := time.NewTicker(tickLength)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := tell(); err != nil {
				return err
			}
		case c, ok := <-commands:
			if !ok || c.Stop {
				return tell()
			}
		}
	}
}

// open makes the connection to a target that has this number.
func (cfg DownloadConfig) open(ctx context.Context, target netip.AddrPort, number int) (*download, net.Conn, error) {
	sources := slices.DeleteFunc(slices.Clone(cfg.Sources), func(a netip.Addr) bool { return a.Is4() != target.Addr().Is4() })
	if len(sources) == 0 {
		return nil, nil, errors.New("there is no source address of its family")
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: sources[number%len(sources)].AsSlice()}, Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", target.String())
	if err != nil {
		return nil, nil, err
	}
	source := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	return &download{state: Download{Source: source}, last: time.Now()}, conn, nil
}

// streams are the connections of a stream port.
type streams struct {
	mu   sync.Mutex
	open []*os.File // guarded by mu
	wait sync.WaitGroup
}

// trickle serves each connection with the name and then a chunk at a time, until
// the socket is shut down.
func (s *streams) trickle(fd int, name string) error {
	defer s.end()
	for {
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		switch {
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED):
			continue
		case err != nil:
			return os.NewSyscallError("accept4", err)
		}
		file := os.NewFile(uintptr(conn), "download")
		s.mu.Lock()
		s.open = append(s.open, file)
		s.mu.Unlock()
		s.wait.Go(func() { s.serve(file, name) })
	}
}

func (s *streams) serve(file *os.File, name string) {
	ticker := time.NewTicker(streamEvery)
	defer ticker.Stop()
	chunk := bytes.Repeat([]byte{'.'}, streamChunk)
	_, err := file.WriteString(name + "\n")
	for err == nil {
		<-ticker.C
		_, err = file.Write(chunk)
	}
	s.mu.Lock()
	s.open = slices.DeleteFunc(s.open, func(f *os.File) bool { return f == file })
	s.mu.Unlock()
	_ = file.Close()
}

// end closes every connection and waits until that is done.
func (s *streams) end() {
	s.mu.Lock()
	for _, file := range s.open {
		_ = file.Close()
	}
	s.mu.Unlock()
	s.wait.Wait()
}
