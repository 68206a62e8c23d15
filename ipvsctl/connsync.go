package ipvsctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// SyncRole is the part that one of the kernel's synchronisation daemons plays,
// numbered as in the kernel.
type SyncRole uint8

// The roles. A network namespace has at most one daemon of each; both may run.
const (
	SyncMaster SyncRole = 1 // sends what it knows of this node's connections
	SyncBackup SyncRole = 2 // learns the connections of others
)

// String returns "master", "backup", or "role N".
func (r SyncRole) String() string {
	switch r {
	case SyncMaster:
		return "master"
	case SyncBackup:
		return "backup"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// What the kernel takes where a SyncDaemon leaves a field open.
const (
	DefaultSyncPort = 8848
	DefaultSyncTTL  = 1
)

// DefaultSyncGroup is the multicast group of a daemon that names none.
var DefaultSyncGroup = netip.AddrFrom4([4]byte{224, 0, 0, 81})

// SyncDaemon is one of the kernel's two daemons that keep the connections of
// several directors alike.
type SyncDaemon struct {
	Role      SyncRole   `json:"role"`
	Interface string     `json:"interface"` // that the messages go through; it needs an address
	ID        uint8      `json:"id"`        // daemons take note of messages with their own id only
	Group     netip.Addr `json:"group"`     // zero = DefaultSyncGroup
	Port      uint16     `json:"port"`      // UDP; 0 = DefaultSyncPort
	TTL       uint8      `json:"ttl"`       // 0 = DefaultSyncTTL
	// MaxLen is the longest message in bytes, 0 = as the interface's MTU allows.
	// It is compared only where it is not 0.
	MaxLen uint16 `json:"max_len,omitempty"`
}

// Canonical fills the defaults in.
func (d SyncDaemon) Canonical() SyncDaemon {
	if !d.Group.IsValid() {
		d.Group = DefaultSyncGroup
	}
	d.Group = d.Group.Unmap()
	d.Port = cmp.Or(d.Port, DefaultSyncPort)
	d.TTL = cmp.Or(d.TTL, DefaultSyncTTL)
	return d
}

// Same reports whether a daemon that is like this one needs no change to be
// like desired.
func (d SyncDaemon) Same(desired SyncDaemon) bool {
	d, desired = d.Canonical(), desired.Canonical()
	if desired.MaxLen == 0 {
		d.MaxLen = 0
	}
	return d == desired
}

// String returns e.g. "the master sync daemon on eth1 with id 51".
func (d SyncDaemon) String() string {
	return fmt.Sprintf("the %v sync daemon on %s with id %d", d.Role, d.Interface, d.ID)
}

// ErrNoDaemon: there is no synchronisation daemon of this role.
var ErrNoDaemon = errors.New("no such sync daemon")

// SyncHandle is the kernel's connection synchronisation in one network
// namespace. Its methods may be called by several goroutines.
type SyncHandle interface {
	// SyncDaemons returns the daemons that run, sorted by role.
	SyncDaemons(ctx context.Context) ([]SyncDaemon, error)
	// StartSync starts a daemon. It fails with ErrExist if one of that role runs.
	StartSync(ctx context.Context, d SyncDaemon) error
	// StopSync ends the daemon of d's role. It fails with ErrNoDaemon if there
	// is none.
	StopSync(ctx context.Context, d SyncDaemon) error
}

// SyncResult is what one ReconcileSync did and what it left.
type SyncResult struct {
	Changes []string     // what was done, in order
	Failed  []error      // what is still lacking, and why
	Live    []SyncDaemon // as read after the last change
}

// ReconcileSync makes the daemons that owned reports, and those that nobody
// runs yet, the desired ones. One that is as desired is not touched, and one
// that is somebody else's neither: where it is in the way, that is a failure.
// It returns an error only if nothing can be read.
func ReconcileSync(ctx context.Context, h SyncHandle, desired []SyncDaemon, owned func(SyncDaemon) bool) (SyncResult, error) {
	var result SyncResult
	live, err := h.SyncDaemons(ctx)
	if err != nil {
		return result, fmt.Errorf("reading the sync daemons: %w", err)
	}
	do := func(word string, d SyncDaemon, act func(context.Context, SyncDaemon) error) bool {
		if err := act(ctx, d); err != nil {
			result.Failed = append(result.Failed, fmt.Errorf("%s %v: %w", word, d, err))
			return false
		}
		result.Changes = append(result.Changes, fmt.Sprintf("%s %v", word, d))
		return true
	}
	for _, role := range []SyncRole{SyncMaster, SyncBackup} {
		of := func(d SyncDaemon) bool { return d.Role == role }
		there, wanted := slices.IndexFunc(live, of), slices.IndexFunc(desired, of)
		switch {
		case there >= 0 && wanted >= 0 && live[there].Same(desired[wanted]):
			continue
		case there >= 0 && !owned(live[there]):
			if wanted >= 0 {
				result.Failed = append(result.Failed, fmt.Errorf("starting %v: %v runs already and is not ours (remedy: ipvsadm --stop-daemon %v)",
					desired[wanted], live[there], role))
			}
			continue
		case there >= 0:
			if !do("stopping", live[there], h.StopSync) {
				continue
			}
		}
		if wanted >= 0 {
			do("starting", desired[wanted], h.StartSync)
		}
	}
	if len(result.Changes) > 0 {
		if live, err = h.SyncDaemons(ctx); err != nil {
			return result, fmt.Errorf("reading the sync daemons back: %w", err)
		}
	}
	result.Live = live
	return result, nil
}
