package process

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
)

// Conn is a Link over an inherited SOCK_SEQPACKET socket.
type Conn struct {
	socket net.Conn
	out    *outbox
	in     chan Message
	gone   chan struct{}
	close  sync.Once
	done   sync.WaitGroup
	log    *slog.Logger
}

// NewConn starts a link over file, a connected SOCK_SEQPACKET socket, and takes
// the file over. Close ends it.
func NewConn(file *os.File, log *slog.Logger) (*Conn, error) {
	defer func() { _ = file.Close() }() // FileConn works on a duplicate
	socket, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("using descriptor %s as a link: %w", file.Name(), err)
	}
	c := &Conn{socket: socket, out: newOutbox(), in: make(chan Message, 64), gone: make(chan struct{}), log: log}
	c.done.Go(c.write)
	c.done.Go(c.read)
	return c, nil
}

// Send queues a message; see Link.
func (c *Conn) Send(kind, key string, body any) error { return c.out.put(kind, key, body) }

// Receive returns the channel of messages; see Link.
func (c *Conn) Receive() <-chan Message { return c.in }

// Close ends the link and waits for its goroutines.
func (c *Conn) Close() error {
	var err error
	c.close.Do(func() {
		close(c.gone)
		c.out.close()
		err = c.socket.Close()
		c.done.Wait()
	})
	return err
}

func (c *Conn) write() {
	for number := uint32(1); ; number++ {
		data, ok := c.out.take()
		if !ok {
			return
		}
		err := fragments(number, data, func(record []byte) error {
			_, err := c.socket.Write(record)
			return err
		})
		if err != nil {
			c.report("writing to", err)
			return
		}
	}
}

func (c *Conn) read() {
	defer close(c.in)
	record := make([]byte, recordSize)
	var parts assembler
	for {
		n, err := c.socket.Read(record)
		if err != nil {
			c.report("reading from", err)
			return
		}
		data, ok := parts.add(record[:n])
		if !ok {
			continue
		}
		var m Message
		if err := json.Unmarshal(data, &m); err != nil {
			c.log.Warn("dropping a message that is no JSON", "error", err)
			continue
		}
		select {
		case c.in <- m:
		case <-c.gone:
			return
		}
	}
}

// report logs why a link ended, unless this side ended it.
func (c *Conn) report(what string, err error) {
	select {
	case <-c.gone:
	default:
		c.log.Warn("link to another process ended", "while", what, "error", err)
	}
}
