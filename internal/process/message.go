package process

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Message is what one process tells another: a kind and its JSON body.
type Message struct {
	Kind string          `json:"kind"`
	Body json.RawMessage `json:"body,omitempty"`
}

// Decode fills v from the message's body.
func (m Message) Decode(v any) error {
	if err := json.Unmarshal(m.Body, v); err != nil {
		return fmt.Errorf("decoding a %q message: %w", m.Kind, err)
	}
	return nil
}

// ErrClosed is returned by a Link that was closed.
var ErrClosed = errors.New("link closed")

// Link carries messages between two processes.
//
// Send never blocks. Undelivered messages of the same kind and key are
// replaced by the newest, so a peer that is slow or dead costs a bounded
// amount of memory and misses only what is out of date.
type Link interface {
	// Send queues body, encoded as JSON, for the peer. It fails if body cannot
	// be encoded or the link is closed.
	Send(kind, key string, body any) error
	// Receive returns the channel of messages from the peer. It is closed when
	// the link ends.
	Receive() <-chan Message
	// Close ends the link; what is still queued is lost.
	Close() error
}
