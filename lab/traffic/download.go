package traffic

import (
	"net/netip"
	"time"
)

// DownloadConfig are connections that last: each is opened once, and then read
// from until the client stops.
type DownloadConfig struct {
	Targets []netip.AddrPort `json:"targets"`
	Count   int              `json:"count"` // to each
	// Sources are taken in turn, those of the target's family.
	Sources []netip.Addr `json:"sources"`
}

// Download is the state of one of them.
type Download struct {
	Source netip.AddrPort `json:"source"`
	Server string         `json:"server,omitempty"` // who serves it; empty before its first line
	Bytes  int64          `json:"bytes"`
	// Silence is the longest time between two reads, or to now.
	Silence time.Duration `json:"silence_ns"`
	// Broken says how the connection ended, which none does by itself.
	Broken string `json:"broken,omitempty"`
}

// What a stream port sends: so many bytes at a time, so often, without end.
const (
	streamChunk = 512
	streamEvery = 100 * time.Millisecond
)
