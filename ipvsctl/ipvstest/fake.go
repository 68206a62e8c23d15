// Package ipvstest provides what tests of IPVS need: Fake, a table in memory
// that is as strict as the kernel's, and Contract, the one suite that both
// satisfy.
package ipvstest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// Fake is an ipvsctl.Handle in memory. It refuses what the kernel refuses, with
// the same errors: adding what exists, changing what does not, unknown
// schedulers, mixed families without a tunnel, and so on.
type Fake struct {
	mu       sync.Mutex
	services map[ipvsctl.ServiceKey]*ipvsctl.LiveService
	log      []ipvsctl.Op
	reads    int
	refuse   func(ipvsctl.Op) error
	readErr  error
	closed   bool
}

// NewFake returns an empty table.
func NewFake() *Fake {
	return &Fake{services: make(map[ipvsctl.ServiceKey]*ipvsctl.LiveService)}
}

var _ ipvsctl.Handle = (*Fake)(nil)

// errClosed is what a closed handle answers.
var errClosed = fmt.Errorf("using the fake handle: %w", os.ErrClosed)

// Refuse makes every operation fail for which fn returns an error; nil ends it.
func (f *Fake) Refuse(fn func(ipvsctl.Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = fn
}

// FailReads makes every read fail with err; nil ends it.
func (f *Fake) FailReads(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readErr = err
}

// Log returns the operations tried since the last call, in order.
func (f *Fake) Log() []ipvsctl.Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := f.log
	f.log = nil
	return log
}

// Reads returns how many services were read since the last call: the cost of
// reading, as each is a request of its own.
func (f *Fake) Reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.reads
	f.reads = 0
	return n
}

// Traffic adds n connections to the counters of a destination and its service.
// It panics if they do not exist.
func (f *Fake) Traffic(service ipvsctl.ServiceKey, dest ipvsctl.DestKey, n uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.services[service]
	d := &s.Dests[indexOf(s, dest)]
	s.Stats.Conns += uint64(n)
	d.Stats.Conns += uint64(n)
	d.ActiveConns += n
}

// Zero sets the counters of a service and its destinations to 0.
func (f *Fake) Zero(service ipvsctl.ServiceKey) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, exists := f.services[service]
	if !exists {
		return ipvsctl.ErrNoService
	}
	s.Stats = ipvsctl.Stats{}
	for i := range s.Dests {
		s.Dests[i].Stats = ipvsctl.Stats{}
	}
	return nil
}

// Replace changes a service behind the table's back, as another program would
// that does not go by the same rules. It panics if there is none.
func (f *Fake) Replace(service ipvsctl.ServiceKey, change func(*ipvsctl.LiveService)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.services[service])
}

// Read implements ipvsctl.Handle.
func (f *Fake) Read(ctx context.Context) (ipvsctl.LiveTable, error) {
	return f.read(ctx, func() []ipvsctl.ServiceKey { return slices.Collect(maps.Keys(f.services)) })
}

// ReadServices implements ipvsctl.Handle.
func (f *Fake) ReadServices(ctx context.Context, keys []ipvsctl.ServiceKey) (ipvsctl.LiveTable, error) {
	return f.read(ctx, func() []ipvsctl.ServiceKey { return keys })
}

func (f *Fake) read(ctx context.Context, keys func() []ipvsctl.ServiceKey) (ipvsctl.LiveTable, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(ctx); err != nil {
		return nil, err
	}
	if f.readErr != nil {
		return nil, f.readErr
	}
	var table ipvsctl.LiveTable
	for _, key := range keys() {
		if s, ok := f.services[key]; ok {
			c := *s
			c.Dests = slices.Clone(s.Dests)
			table = append(table, c)
		}
	}
	f.reads += len(table)
	table.Sort()
	return table, nil
}

func (f *Fake) usable(ctx context.Context) error {
	if f.closed {
		return errClosed
	}
	return ctx.Err()
}

// Apply implements ipvsctl.Handle.
func (f *Fake) Apply(ctx context.Context, ops []ipvsctl.Op) []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := make([]error, len(ops))
	failed := false
	for i, op := range ops {
		if errs[i] = f.usable(ctx); errs[i] == nil {
			f.log = append(f.log, op)
			errs[i] = f.do(op)
		}
		failed = failed || errs[i] != nil
	}
	if !failed {
		return nil
	}
	return errs
}

// Close implements ipvsctl.Handle.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func (f *Fake) do(op ipvsctl.Op) error {
	if f.refuse != nil {
		if err := f.refuse(op); err != nil {
			return err
		}
	}
	s, exists := f.services[op.Service.Key]
	if op.Kind != ipvsctl.AddService && !exists {
		return ipvsctl.ErrNoService
	}
	switch op.Kind {
	case ipvsctl.AddService:
		if exists {
			return ipvsctl.ErrExist
		}
		if err := checkService(op.Service); err != nil {
			return err
		}
		f.services[op.Service.Key] = &ipvsctl.LiveService{Service: asHeld(op.Service)}
	case ipvsctl.UpdateService:
		if err := checkService(op.Service); err != nil {
			return err
		}
		s.Service, s.Irregular = asHeld(op.Service), ""
	case ipvsctl.DeleteService:
		delete(f.services, op.Service.Key)
	case ipvsctl.AddDest, ipvsctl.UpdateDest, ipvsctl.DeleteDest:
		return doDest(s, op)
	default:
		return fmt.Errorf("%v: %w", op, ipvsctl.ErrInvalid)
	}
	return nil
}

func doDest(s *ipvsctl.LiveService, op ipvsctl.Op) error {
	if op.Kind != ipvsctl.DeleteDest {
		if err := checkDest(s.Key, op.Dest); err != nil {
			return err
		}
	}
	i := indexOf(s, op.Dest.Key)
	switch {
	case op.Kind == ipvsctl.AddDest && i >= 0:
		return ipvsctl.ErrExist
	case op.Kind == ipvsctl.AddDest && !unicast(op.Dest.Key.Address):
		return ipvsctl.ErrInvalid
	case op.Kind == ipvsctl.AddDest:
		s.Dests = append(s.Dests, ipvsctl.LiveDest{Dest: op.Dest})
	case i < 0:
		return ipvsctl.ErrNoDest
	case op.Kind == ipvsctl.UpdateDest:
		s.Dests[i].Dest = op.Dest
	default:
		s.Dests = slices.Delete(s.Dests, i, i+1)
	}
	return nil
}

func indexOf(s *ipvsctl.LiveService, key ipvsctl.DestKey) int {
	return slices.IndexFunc(s.Dests, func(d ipvsctl.LiveDest) bool { return d.Key == key })
}

// asHeld is the service as the kernel keeps it: without destinations, which
// are objects of their own, and with a prefix exactly where it means something.
func asHeld(s ipvsctl.Service) ipvsctl.Service {
	s.Dests = nil
	switch {
	case s.Persistence == 0:
		s.PersistencePrefix = 0
	case s.PersistencePrefix == 0 && s.Key.AddressFamily() == ipvsctl.IPv6:
		s.PersistencePrefix = 128
	case s.PersistencePrefix == 0:
		s.PersistencePrefix = 32
	}
	return s
}

// schedulers and engines are those of the kernel's own source tree.
var (
	schedulers = []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "fo", "ovf", "twos", "none"}
	engines    = []string{"", "sip"}
)

func checkService(s ipvsctl.Service) error {
	k := s.Key
	if k.AddressFamily() == 0 || len(s.Scheduler) > 15 {
		return ipvsctl.ErrInvalid
	}
	if !slices.Contains(schedulers, s.Scheduler) || !slices.Contains(engines, s.Engine) {
		return ipvsctl.ErrNoModule
	}
	if s.PersistencePrefix > 128 || k.AddressFamily() == ipvsctl.IPv4 && s.PersistencePrefix > 32 {
		return ipvsctl.ErrInvalid
	}
	return nil
}

func checkDest(service ipvsctl.ServiceKey, d ipvsctl.Dest) error {
	a := d.Key.Address
	switch {
	case !a.IsValid() || d.Forward > ipvsctl.Local:
		return ipvsctl.ErrInvalid
	case ipvsctl.FamilyOf(a) != service.AddressFamily() && d.Forward != ipvsctl.TUN:
		return ipvsctl.ErrInvalid
	case d.Weight > math.MaxInt32 || d.Lower > d.Upper:
		return ipvsctl.ErrRange
	case d.Tunnel.Type == ipvsctl.GUE && d.Tunnel.Port == 0:
		return ipvsctl.ErrInvalid
	}
	return nil
}

func unicast(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) &&
		!(a.Is6() && a.IsLinkLocalUnicast())
}
