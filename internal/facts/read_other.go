//go:build !linux

package facts

import "context"

// Read reads the host; on Linux alone.
func Read(context.Context, Wants) *Host {
	return &Host{Unknown: []Unknown{{"everything", "this system is not Linux"}}}
}

// ReadModules looks kernel modules up; on Linux alone.
func (h *Host) ReadModules(...string) {}

// LookAround looks at the segments; on Linux alone.
func LookAround(context.Context, Look) *Segment { return &Segment{} }
