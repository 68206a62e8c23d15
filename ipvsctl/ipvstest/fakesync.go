package ipvstest

import (
	"context"
	"slices"
	"sync"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// FakeSync is an ipvsctl.SyncHandle in memory.
type FakeSync struct {
	// Interfaces are those that exist.
	Interfaces []string

	mu      sync.Mutex
	daemons []ipvsctl.SyncDaemon
	err     error
}

var _ ipvsctl.SyncHandle = (*FakeSync)(nil)

// Fail makes every use fail with err; nil ends it.
func (f *FakeSync) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// SyncDaemons implements ipvsctl.SyncHandle.
func (f *FakeSync) SyncDaemons(ctx context.Context) ([]ipvsctl.SyncDaemon, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(ctx); err != nil {
		return nil, err
	}
	return slices.Clone(f.daemons), nil
}

func (f *FakeSync) usable(ctx context.Context) error {
	if f.err != nil {
		return f.err
	}
	return ctx.Err()
}

// StartSync implements ipvsctl.SyncHandle.
func (f *FakeSync) StartSync(ctx context.Context, d ipvsctl.SyncDaemon) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(ctx); err != nil {
		return err
	}
	if f.find(d.Role) >= 0 {
		return ipvsctl.ErrExist
	}
	d = d.Canonical()
	if !slices.Contains(f.Interfaces, d.Interface) || !d.Group.IsMulticast() {
		return ipvsctl.ErrInvalid
	}
	if d.MaxLen == 0 {
		d.MaxLen = 1472
	}
	f.daemons = append(f.daemons, d)
	slices.SortFunc(f.daemons, func(a, b ipvsctl.SyncDaemon) int { return int(a.Role) - int(b.Role) })
	return nil
}

// StopSync implements ipvsctl.SyncHandle.
func (f *FakeSync) StopSync(ctx context.Context, d ipvsctl.SyncDaemon) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(ctx); err != nil {
		return err
	}
	i := f.find(d.Role)
	if i < 0 {
		return ipvsctl.ErrNoDaemon
	}
	f.daemons = slices.Delete(f.daemons, i, i+1)
	return nil
}

func (f *FakeSync) find(role ipvsctl.SyncRole) int {
	return slices.IndexFunc(f.daemons, func(d ipvsctl.SyncDaemon) bool { return d.Role == role })
}
