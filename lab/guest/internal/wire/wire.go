// Package wire is what the host and the guest's init say to each other: the
// plan that the host puts into the initramfs, and the frames that the init
// writes to the virtio-serial port. It opens nothing.
package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// PlanPath is where the init finds its Plan, as JSON.
	PlanPath = "/etc/haldir-guest.json"
	// PortName is the name of the virtio-serial port that carries the frames.
	PortName = "haldir.guest"
	// MarkVariable is set in the environment of every program in the guest, to
	// the release of the guest's kernel.
	MarkVariable = "HALDIR_GUEST"
)

// Plan is everything the guest's init is to do.
type Plan struct {
	Modules []string `json:"modules"` // loaded before the first step; a name that cannot be loaded ends the guest
	Steps   []Step   `json:"steps"`
}

// Step is one program to run, after the one before it has ended.
type Step struct {
	Name     string        `json:"name"`
	Args     []string      `json:"args"` // Args[0] is a path or is looked up in PATH
	Env      []string      `json:"env"`
	Dir      string        `json:"dir"`
	Timeout  time.Duration `json:"timeout"`  // 0: none
	Terminal *Terminal     `json:"terminal"` // nil: stdout and stderr are pipes
}

// Terminal asks for a pseudo-terminal as the program's stdout and stderr.
type Terminal struct {
	Columns uint16 `json:"columns"`
	Rows    uint16 `json:"rows"`
}

// Ready says that the guest is up and its modules are loaded.
type Ready struct {
	Kernel string        `json:"kernel"` // as in uname -r
	Clock  time.Duration `json:"clock"`  // the guest's monotonic clock
}

// Exit is how a step ended.
type Exit struct {
	Step     int           `json:"step"`
	Status   int           `json:"status"`
	Signal   int           `json:"signal"`    // 0: exited by itself
	TimedOut bool          `json:"timed_out"` // ended by the init, after Step.Timeout
	Took     time.Duration `json:"took"`
	Clock    time.Duration `json:"clock"`   // the guest's monotonic clock
	Problem  string        `json:"problem"` // why it could not be started; empty: it was
}

// Start says that a step begins.
type Start struct {
	Step int `json:"step"`
}

// Kind is the type of a frame; the zero value is not valid.
type Kind uint8

// The frames, with what they carry.
const (
	KindReady  Kind = iota + 1 // Ready as JSON
	KindStart                  // Start as JSON
	KindStdout                 // bytes
	KindStderr                 // bytes
	KindExit                   // Exit as JSON
	KindDone                   // nothing; the last frame
)

// MaxPayload is the largest payload of a frame, in bytes.
const MaxPayload = 64 << 10

// headerLen is one byte of kind and four of length, big-endian.
const headerLen = 5

// ErrMalformed says that the peer sent what is not a frame.
var ErrMalformed = errors.New("malformed frame")

// Write sends one frame in one call of w.Write, so that a mutex around w is
// enough to share it. A payload over MaxPayload is an error.
func Write(w io.Writer, kind Kind, payload []byte) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("payload of %d bytes, at most %d: %w", len(payload), MaxPayload, ErrMalformed)
	}
	frame := make([]byte, headerLen, headerLen+len(payload))
	frame[0] = byte(kind)
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	_, err := w.Write(append(frame, payload...))
	return err
}

// WriteJSON sends v as the payload of one frame.
func WriteJSON(w io.Writer, kind Kind, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return Write(w, kind, payload)
}

// Read returns the next frame. It returns io.EOF between frames, io.ErrUnexpectedEOF
// inside one, and ErrMalformed for an unknown kind or an impossible length.
func Read(r io.Reader) (Kind, []byte, error) {
	var header [headerLen]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	kind, length := Kind(header[0]), binary.BigEndian.Uint32(header[1:])
	if kind < KindReady || kind > KindDone || length > MaxPayload {
		return 0, nil, fmt.Errorf("kind %d, length %d: %w", kind, length, ErrMalformed)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return kind, payload, nil
}
