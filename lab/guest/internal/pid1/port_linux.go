package pid1

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

// portPatience bounds the wait for the port, which appears some time after its
// driver is loaded.
const portPatience = 20 * time.Second

// openPort finds the virtio-serial port by its name.
func openPort() (*os.File, error) {
	for deadline := time.Now().Add(portPatience); ; {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil || strings.TrimSpace(string(text)) != wire.PortName {
				continue
			}
			device := filepath.Join("/dev", filepath.Base(filepath.Dir(name)))
			file, err := os.OpenFile(device, os.O_RDWR, 0)
			if err == nil {
				return file, nil
			}
			if time.Now().After(deadline) {
				return nil, fmt.Errorf("opening the port to the host: %w", err)
			}
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("waiting for the port %s to the host: none after %v", wire.PortName, portPatience)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// port is the way to the host, shared by those who copy output.
type port struct {
	mu sync.Mutex
	w  *os.File
}

func (p *port) frame(kind wire.Kind, payload []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := wire.Write(p.w, kind, payload); err != nil {
		return fmt.Errorf("writing to the host: %w", err)
	}
	return nil
}

func (p *port) json(kind wire.Kind, v any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := wire.WriteJSON(p.w, kind, v); err != nil {
		return fmt.Errorf("writing to the host: %w", err)
	}
	return nil
}

// copyFrom sends everything that r yields, as it comes, until its end.
func (p *port) copyFrom(kind wire.Kind, r *os.File) {
	buf := make([]byte, wire.MaxPayload/2)
	for {
		n, err := r.Read(buf)
		if n > 0 && p.frame(kind, buf[:n]) != nil {
			return
		}
		// The end of a pipe is io.EOF, that of a terminal is EIO.
		if err != nil {
			return
		}
	}
}
