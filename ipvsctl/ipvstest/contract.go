package ipvstest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// Contract checks that what open returns behaves as ipvsctl.Handle promises.
// Each call of open must return a handle on an empty table of its own.
func Contract(t *testing.T, open func(t *testing.T) ipvsctl.Handle) {
	for name, test := range map[string]func(*testing.T, ipvsctl.Handle){
		"an empty table reads as empty":                       emptyTable,
		"every attribute reads back as written":               everyAttribute,
		"an update replaces every attribute in place":         updates,
		"deletions leave the rest":                            deletions,
		"each refusal has its reason":                         refusals,
		"failures do not hinder the other operations":         failuresApart,
		"thousands of operations keep their errors apart":     manyOperations,
		"only the services asked for are read":                readServices,
		"a cancelled context changes nothing":                 cancelled,
		"a closed handle says so":                             closed,
		"goroutines may share a handle":                       shared,
		"the reconciler converges and then has nothing to do": reconciles,
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			t.Cleanup(func() { _ = h.Close() })
			test(t, h)
		})
	}
}

// timeout bounds each use of a handle in the suite.
const timeout = time.Minute

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	return ctx
}

// comparer compares addresses by == and takes a nil list for an empty one.
var comparer = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

// addition returns the operations that add a service with its destinations.
func addition(s ipvsctl.Service) []ipvsctl.Op {
	dests := s.Dests
	s.Dests = nil
	ops := []ipvsctl.Op{{Kind: ipvsctl.AddService, Service: s}}
	for _, d := range dests {
		ops = append(ops, ipvsctl.Op{Kind: ipvsctl.AddDest, Service: ipvsctl.Service{Key: s.Key}, Dest: d})
	}
	return ops
}

func mustApply(t *testing.T, h ipvsctl.Handle, ops ...ipvsctl.Op) {
	t.Helper()
	for i, err := range h.Apply(bounded(t), ops) {
		if err != nil {
			t.Errorf("%v: %v", ops[i], err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

func mustRead(t *testing.T, h ipvsctl.Handle) ipvsctl.LiveTable {
	t.Helper()
	live, err := h.Read(bounded(t))
	if err != nil {
		t.Fatalf("reading the table: %v", err)
	}
	return live
}

func wantTable(t *testing.T, h ipvsctl.Handle, want ipvsctl.Table) {
	t.Helper()
	live := mustRead(t, h)
	if diff := cmp.Diff(want.Canonical(), live.Table(), comparer); diff != "" {
		t.Errorf("unexpected table (-want +got):\n%s", diff)
	}
	for _, s := range live {
		if s.Irregular != "" {
			t.Errorf("service %v is irregular: %s", s.Key, s.Irregular)
		}
	}
}

func emptyTable(t *testing.T, h ipvsctl.Handle) {
	wantTable(t, h, ipvsctl.Table{})
	got, err := h.ReadServices(bounded(t), []ipvsctl.ServiceKey{tcp("192.0.2.1:80")})
	if err != nil || len(got) != 0 {
		t.Errorf("ReadServices of a service that is not there = %v, %v, want nothing", got, err)
	}
}

func everyAttribute(t *testing.T, h ipvsctl.Handle) {
	for _, s := range Everything() {
		mustApply(t, h, addition(s)...)
	}
	wantTable(t, h, Everything())
}

func updates(t *testing.T, h ipvsctl.Handle) {
	plain := ipvsctl.Service{Key: tcp("192.0.2.1:80"), Scheduler: "rr", Dests: []ipvsctl.Dest{
		{Key: dest("198.51.100.1:80"), Forward: ipvsctl.TUN, Weight: 1},
	}}
	rich := ipvsctl.Service{
		Key: plain.Key, Scheduler: "mh", Flags: ipvsctl.SchedPort, Persistence: time.Minute, PersistencePrefix: 20,
		Dests: []ipvsctl.Dest{{
			Key: dest("198.51.100.1:80"), Forward: ipvsctl.TUN, Weight: 65535, Upper: 9, Lower: 3,
			Tunnel: ipvsctl.Tunnel{Type: ipvsctl.GUE, Port: 6080, Flags: ipvsctl.TunnelChecksum},
		}},
	}
	mustApply(t, h, addition(plain)...)
	for _, s := range []ipvsctl.Service{rich, plain} {
		mustApply(t, h,
			ipvsctl.Op{Kind: ipvsctl.UpdateService, Service: s},
			ipvsctl.Op{Kind: ipvsctl.UpdateDest, Service: s, Dest: s.Dests[0]})
		wantTable(t, h, ipvsctl.Table{s})
	}
}

func deletions(t *testing.T, h ipvsctl.Handle) {
	table := Pools(3, 2)
	for _, s := range table {
		mustApply(t, h, addition(s)...)
	}
	mustApply(t, h,
		ipvsctl.Op{Kind: ipvsctl.DeleteDest, Service: table[0], Dest: table[0].Dests[1]},
		ipvsctl.Op{Kind: ipvsctl.DeleteService, Service: table[1]})
	table[0].Dests = table[0].Dests[:1]
	wantTable(t, h, ipvsctl.Table{table[0], table[2]})
	// A service that comes back does not bring its destinations along.
	bare := ipvsctl.Service{Key: table[1].Key, Scheduler: "rr"}
	mustApply(t, h, addition(bare)...)
	wantTable(t, h, ipvsctl.Table{table[0], bare, table[2]})
}

func refusals(t *testing.T, h ipvsctl.Handle) {
	here := ipvsctl.Service{Key: tcp("192.0.2.1:80"), Scheduler: "rr"}
	here6 := ipvsctl.Service{Key: tcp("[2001:db8::1]:80"), Scheduler: "rr"}
	missing := ipvsctl.Service{Key: tcp("192.0.2.9:80"), Scheduler: "rr"}
	there := ipvsctl.Dest{Key: dest("198.51.100.1:80"), Weight: 1}
	other := ipvsctl.Dest{Key: dest("198.51.100.2:80"), Weight: 1}
	with := func(d ipvsctl.Dest, change func(*ipvsctl.Dest)) ipvsctl.Dest {
		change(&d)
		return d
	}
	unknown := here
	unknown.Scheduler = "nosuch"
	newUnknown := unknown
	newUnknown.Key = missing.Key
	engine := here
	engine.Persistence, engine.Engine = time.Minute, "nosuch"
	mustApply(t, h, addition(here)...)
	mustApply(t, h, addition(here6)...)
	mustApply(t, h, ipvsctl.Op{Kind: ipvsctl.AddDest, Service: here, Dest: there})
	before := mustRead(t, h)

	for _, c := range []struct {
		op   ipvsctl.Op
		want error
	}{
		{ipvsctl.Op{Kind: ipvsctl.AddService, Service: here}, ipvsctl.ErrExist},
		{ipvsctl.Op{Kind: ipvsctl.AddService, Service: newUnknown}, ipvsctl.ErrNoModule},
		{ipvsctl.Op{Kind: ipvsctl.UpdateService, Service: unknown}, ipvsctl.ErrNoModule},
		{ipvsctl.Op{Kind: ipvsctl.UpdateService, Service: engine}, ipvsctl.ErrNoModule},
		{ipvsctl.Op{Kind: ipvsctl.UpdateService, Service: missing}, ipvsctl.ErrNoService},
		{ipvsctl.Op{Kind: ipvsctl.DeleteService, Service: missing}, ipvsctl.ErrNoService},
		{ipvsctl.Op{Kind: ipvsctl.AddService, Service: ipvsctl.Service{Scheduler: "rr"}}, ipvsctl.ErrInvalid},
		{ipvsctl.Op{Kind: ipvsctl.AddDest, Service: missing, Dest: there}, ipvsctl.ErrNoService},
		{ipvsctl.Op{Kind: ipvsctl.UpdateDest, Service: missing, Dest: there}, ipvsctl.ErrNoService},
		{ipvsctl.Op{Kind: ipvsctl.DeleteDest, Service: missing, Dest: there}, ipvsctl.ErrNoService},
		{ipvsctl.Op{Kind: ipvsctl.AddDest, Service: here, Dest: there}, ipvsctl.ErrExist},
		{ipvsctl.Op{Kind: ipvsctl.UpdateDest, Service: here, Dest: other}, ipvsctl.ErrNoDest},
		{ipvsctl.Op{Kind: ipvsctl.DeleteDest, Service: here, Dest: other}, ipvsctl.ErrNoDest},
		{ipvsctl.Op{Kind: ipvsctl.AddDest, Service: here, Dest: with(other, func(d *ipvsctl.Dest) { d.Upper, d.Lower = 5, 6 })}, ipvsctl.ErrRange},
		{ipvsctl.Op{Kind: ipvsctl.UpdateDest, Service: here, Dest: with(there, func(d *ipvsctl.Dest) { d.Weight = 1 << 31 })}, ipvsctl.ErrRange},
		{ipvsctl.Op{Kind: ipvsctl.AddDest, Service: here, Dest: with(other, func(d *ipvsctl.Dest) {
			d.Forward, d.Tunnel.Type = ipvsctl.TUN, ipvsctl.GUE
		})}, ipvsctl.ErrInvalid},
		{ipvsctl.Op{Kind: ipvsctl.AddDest, Service: here, Dest: with(other, func(d *ipvsctl.Dest) { d.Key = dest("224.0.0.1:80") })}, ipvsctl.ErrInvalid},
		{ipvsctl.Op{Kind: ipvsctl.AddDest, Service: here6, Dest: with(other, func(d *ipvsctl.Dest) { d.Key = dest("[fe80::1]:80") })}, ipvsctl.ErrInvalid},
		{ipvsctl.Op{Kind: ipvsctl.AddDest, Service: here6, Dest: other}, ipvsctl.ErrInvalid},
		{ipvsctl.Op{Kind: 99, Service: here}, ipvsctl.ErrInvalid},
	} {
		errs := h.Apply(bounded(t), []ipvsctl.Op{c.op})
		if len(errs) != 1 || !errors.Is(errs[0], c.want) {
			t.Errorf("%v = %v, want %v", c.op, errs, c.want)
		}
	}
	if diff := cmp.Diff(before.Table(), mustRead(t, h).Table(), comparer); diff != "" {
		t.Errorf("refused operations changed the table (-before +after):\n%s", diff)
	}
}

func failuresApart(t *testing.T, h ipvsctl.Handle) {
	table := Pools(2, 1)
	ops := slices.Concat(addition(table[0]), addition(table[0]), addition(table[1]))
	errs := h.Apply(bounded(t), ops)
	want := []error{nil, nil, ipvsctl.ErrExist, ipvsctl.ErrExist, nil, nil}
	wantErrors(t, ops, errs, want)
	wantTable(t, h, table)
}

func manyOperations(t *testing.T, h ipvsctl.Handle) {
	s := ipvsctl.Service{Key: tcp("192.0.2.1:80"), Scheduler: "wrr"}
	var ops []ipvsctl.Op
	var want []error
	ops, want = append(ops, addition(s)...), append(want, nil)
	for i := range 2500 {
		d := ipvsctl.Dest{Key: ipvsctl.DestKey{Address: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Port: 80}, Weight: uint32(i)}
		s.Dests = append(s.Dests, d)
		ops, want = append(ops, ipvsctl.Op{Kind: ipvsctl.AddDest, Service: s, Dest: d}), append(want, nil)
		if i%3 == 0 {
			ops, want = append(ops, ipvsctl.Op{Kind: ipvsctl.AddDest, Service: s, Dest: d}), append(want, ipvsctl.ErrExist)
		}
		if i%500 == 0 {
			d.Key.Port = 81
			ops, want = append(ops, ipvsctl.Op{Kind: ipvsctl.DeleteDest, Service: s, Dest: d}), append(want, ipvsctl.ErrNoDest)
		}
	}
	wantErrors(t, ops, h.Apply(bounded(t), ops), want)
	wantTable(t, h, ipvsctl.Table{s})
}

func wantErrors(t *testing.T, ops []ipvsctl.Op, got, want []error) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("Apply returned %d errors, want %d", len(got), len(want))
	}
	for i := range want {
		if !errors.Is(got[i], want[i]) || want[i] == nil && got[i] != nil {
			t.Errorf("operation %d, %v = %v, want %v", i, ops[i], got[i], want[i])
		}
	}
}

func readServices(t *testing.T, h ipvsctl.Handle) {
	table := Pools(3, 2)
	var keys []ipvsctl.ServiceKey
	for _, s := range table {
		mustApply(t, h, addition(s)...)
		keys = append(keys, s.Key)
	}
	got, err := h.ReadServices(bounded(t), []ipvsctl.ServiceKey{keys[2], tcp("203.0.113.9:9"), keys[0]})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ipvsctl.Table{table[0], table[2]}.Canonical(), got.Table(), comparer); diff != "" {
		t.Errorf("unexpected services (-want +got):\n%s", diff)
	}
}

func cancelled(t *testing.T, h ipvsctl.Handle) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ops := addition(Pools(1, 1)[0])
	errs := h.Apply(ctx, ops)
	if len(errs) != len(ops) {
		t.Fatalf("Apply = %v, want an error for each of %d operations", errs, len(ops))
	}
	for _, err := range errs {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Apply = %v, want %v", err, context.Canceled)
		}
	}
	if _, err := h.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Read = %v, want %v", err, context.Canceled)
	}
	wantTable(t, h, ipvsctl.Table{})
}

func closed(t *testing.T, h ipvsctl.Handle) {
	if err := h.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if _, err := h.Read(bounded(t)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read = %v, want %v", err, os.ErrClosed)
	}
	if errs := h.Apply(bounded(t), addition(Pools(1, 0)[0])); len(errs) != 1 || !errors.Is(errs[0], os.ErrClosed) {
		t.Errorf("Apply = %v, want %v", errs, os.ErrClosed)
	}
}

func shared(t *testing.T, h ipvsctl.Handle) {
	table := Pools(8, 4)
	var wg sync.WaitGroup
	errs := make([]error, len(table))
	for i, s := range table {
		wg.Go(func() {
			errs[i] = errors.Join(h.Apply(bounded(t), addition(s))...)
			if _, err := h.Read(bounded(t)); err != nil {
				errs[i] = fmt.Errorf("reading: %w", err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	wantTable(t, h, table)
}

func reconciles(t *testing.T, h ipvsctl.Handle) {
	foreign := Pools(1, 1)[0]
	foreign.Key = tcp("203.0.113.1:80")
	mustApply(t, h, addition(foreign)...)
	r := ipvsctl.NewReconciler(h)
	everything := func(k ipvsctl.ServiceKey) bool { return k != foreign.Key }
	for _, desired := range []ipvsctl.Table{Everything(), Pools(5, 3), Pools(4, 4), Everything(), {}} {
		for _, second := range []bool{false, true} {
			result, err := r.Reconcile(bounded(t), desired, everything)
			if err != nil || result.Err() != nil {
				t.Fatalf("Reconcile: %v, failures: %v", err, result.Err())
			}
			if second && len(result.Ops) != 0 {
				t.Errorf("reconciling again did %v, want nothing", result.Ops)
			}
			wantTable(t, h, append(slices.Clone(desired), foreign))
			if diff := cmp.Diff([]ipvsctl.ServiceKey{foreign.Key}, result.Foreign, comparer); diff != "" {
				t.Errorf("unexpected foreign services (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(mustRead(t, h).Table(), result.Live.Table(), comparer); diff != "" {
				t.Errorf("the result's table is not the live one (-live +result):\n%s", diff)
			}
		}
	}
}
