package ipvsctl_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

func mustReconcile(t *testing.T, h ipvsctl.Handle, desired ipvsctl.Table, owned func(ipvsctl.ServiceKey) bool) ipvsctl.Result {
	t.Helper()
	result, err := ipvsctl.NewReconciler(h).Reconcile(t.Context(), desired, owned)
	if err := errors.Join(err, result.Err()); err != nil {
		t.Fatalf("Reconcile: %v", err)
	}
	return result
}

func failedTexts(result ipvsctl.Result) []string {
	var all []string
	for _, f := range result.Failed {
		all = append(all, f.Error())
	}
	return all
}

func TestAFailingServiceDoesNotHinderOthers(t *testing.T) {
	fake := ipvstest.NewFake()
	table := ipvstest.Pools(3, 2)
	table[1].Scheduler = "nosuch"
	result, err := ipvsctl.NewReconciler(fake).Reconcile(t.Context(), table, ownsAll)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"adding service tcp 10.0.0.2:80: no such scheduler or persistence engine",
		"adding destination 198.51.100.1:80 to service tcp 10.0.0.2:80: its service was not added: no such scheduler or persistence engine",
		"adding destination 198.51.100.2:80 to service tcp 10.0.0.2:80: its service was not added: no such scheduler or persistence engine",
	}
	if diff := cmp.Diff(want, failedTexts(result)); diff != "" {
		t.Errorf("unexpected failures (-want +got):\n%s", diff)
	}
	if !errors.Is(result.Err(), ipvsctl.ErrNoModule) {
		t.Errorf("Err = %v, want %v", result.Err(), ipvsctl.ErrNoModule)
	}
	if diff := cmp.Diff(ipvsctl.Table{table[0], table[2]}, result.Live.Table(), comparer); diff != "" {
		t.Errorf("unexpected table (-want +got):\n%s", diff)
	}
	if n := len(fake.Log()); n != 9 {
		t.Errorf("%d operations were tried, want each of 9 once", n)
	}
	// As soon as the cause is gone the next Reconcile does the rest.
	table[1].Scheduler = "wrr"
	if again := mustReconcile(t, fake, table, ownsAll); len(again.Ops) != 3 {
		t.Errorf("operations = %v, want those of one service", again.Ops)
	}
}

func TestAFailingDestDoesNotHinderOthers(t *testing.T) {
	fake := ipvstest.NewFake()
	table := ipvstest.Pools(2, 3)
	table[0].Dests[1].Key.Address = destKey("224.0.0.1:80").Address
	result, err := ipvsctl.NewReconciler(fake).Reconcile(t.Context(), table, ownsAll)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"adding destination 224.0.0.1:80 to service tcp 10.0.0.1:80: refused as invalid"}
	if diff := cmp.Diff(want, failedTexts(result)); diff != "" {
		t.Errorf("unexpected failures (-want +got):\n%s", diff)
	}
	if len(result.Live[0].Dests) != 2 || len(result.Live[1].Dests) != 3 {
		t.Errorf("live table = %v, want all but the failing destination", result.Live)
	}
}

func TestTheResultIsWhatWasReadBack(t *testing.T) {
	fake := ipvstest.NewFake()
	table := ipvstest.Pools(2, 1)
	mustReconcile(t, fake, table, nil)
	fake.Traffic(table[0].Key, table[0].Dests[0].Key, 5)
	table[0].Dests[0].Weight = 9
	result := mustReconcile(t, fake, table, nil)
	s := result.Live[0]
	if s.Stats.Conns != 5 || s.Dests[0].ActiveConns != 5 || s.Dests[0].Weight != 9 {
		t.Errorf("live service = %+v, want the new weight and the old counters", s)
	}
}

// liar acknowledges what it does not do.
type liar struct{ *ipvstest.Fake }

func (liar) Apply(context.Context, []ipvsctl.Op) []error { return nil }

func TestWhatIsNotReadBackIsAFailure(t *testing.T) {
	table := ipvstest.Pools(1, 1)
	result, err := ipvsctl.NewReconciler(liar{ipvstest.NewFake()}).Reconcile(t.Context(), table, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Failed) != 2 || !errors.Is(result.Failed[0], ipvsctl.ErrNotTaken) || !errors.Is(result.Failed[1], ipvsctl.ErrNotTaken) {
		t.Errorf("failures = %v, want %v for both operations", result.Failed, ipvsctl.ErrNotTaken)
	}
}

// skipper misses a service in its first reading, as the kernel's dump may when
// another one is deleted meanwhile.
type skipper struct {
	*ipvstest.Fake
	missed bool
}

func (s *skipper) Read(ctx context.Context) (ipvsctl.LiveTable, error) {
	live, err := s.Fake.Read(ctx)
	if !s.missed && len(live) > 0 {
		s.missed = true
		live = live[1:]
	}
	return live, err
}

func TestAnEntryMissedInReadingIsNoFailure(t *testing.T) {
	fake := ipvstest.NewFake()
	table := ipvstest.Pools(3, 2)
	mustReconcile(t, fake, table, nil)
	fake.Traffic(table[0].Key, table[0].Dests[0].Key, 5)
	table[0].Dests[1].Weight = 77
	result := mustReconcile(t, &skipper{Fake: fake}, table, nil)
	if diff := cmp.Diff(table, result.Live.Table(), comparer); diff != "" {
		t.Errorf("unexpected table (-want +got):\n%s", diff)
	}
	if result.Live[0].Stats.Conns != 5 {
		t.Error("the service was created anew")
	}
}

func TestReadingFails(t *testing.T) {
	fake := ipvstest.NewFake()
	cause := errors.New("no luck")
	fake.FailReads(cause)
	result, err := ipvsctl.NewReconciler(fake).Reconcile(t.Context(), ipvstest.Pools(1, 1), nil)
	if !errors.Is(err, cause) || err.Error() != "reading the ipvs table: no luck" {
		t.Errorf("Reconcile = %v", err)
	}
	if len(result.Ops) != 0 || len(fake.Log()) != 0 {
		t.Error("operations were tried on an unknown table")
	}
}

// brittle cannot be read any more once it was written to.
type brittle struct {
	*ipvstest.Fake
	cause error
}

func (b brittle) Apply(ctx context.Context, ops []ipvsctl.Op) []error {
	defer b.FailReads(b.cause)
	return b.Fake.Apply(ctx, ops)
}

func TestReadingBackFails(t *testing.T) {
	cause := errors.New("no luck")
	result, err := ipvsctl.NewReconciler(brittle{ipvstest.NewFake(), cause}).Reconcile(t.Context(), ipvstest.Pools(1, 1), nil)
	if !errors.Is(err, cause) || err.Error() != "reading the ipvs table back: no luck" {
		t.Errorf("Reconcile = %v", err)
	}
	if len(result.Ops) != 2 || result.Live != nil {
		t.Errorf("Result = %+v, want the operations and no table, as nothing is known", result)
	}
}

func TestOneChangeTouchesOneEntry(t *testing.T) {
	fake := ipvstest.NewFake()
	table := ipvstest.Pools(100, 4)
	mustReconcile(t, fake, table, nil)
	fake.Log()
	fake.Reads()
	table[50].Dests[1].Weight++
	result := mustReconcile(t, fake, table, nil)
	want := []string{"updating destination 198.51.100.2:80 of service tcp 10.0.0.51:80"}
	if diff := cmp.Diff(want, texts(fake.Log())); diff != "" {
		t.Errorf("unexpected operations (-want +got):\n%s", diff)
	}
	if n := fake.Reads(); n != 101 {
		t.Errorf("%d services were read, want all once and the changed one again", n)
	}
	if diff := cmp.Diff(table, result.Live.Table(), comparer); diff != "" {
		t.Errorf("unexpected table (-want +got):\n%s", diff)
	}
}

func TestForeignServicesAreShownAndNotTouched(t *testing.T) {
	fake := ipvstest.NewFake()
	theirs := ipvstest.Pools(2, 2)
	mustReconcile(t, fake, theirs, nil)
	fake.Log()
	ours := ipvsctl.Table{{Key: tcp("192.0.2.1:80"), Dests: []ipvsctl.Dest{{Key: destKey("198.51.100.1:0"), Weight: 1}}}}
	result := mustReconcile(t, fake, ours, func(k ipvsctl.ServiceKey) bool { return k == ours[0].Key })
	if diff := cmp.Diff([]ipvsctl.ServiceKey{theirs[0].Key, theirs[1].Key}, result.Foreign, comparer); diff != "" {
		t.Errorf("unexpected foreign services (-want +got):\n%s", diff)
	}
	result = mustReconcile(t, fake, nil, func(k ipvsctl.ServiceKey) bool { return k == ours[0].Key })
	if diff := cmp.Diff(theirs, result.Live.Table(), comparer); diff != "" {
		t.Errorf("foreign services changed (-want +got):\n%s", diff)
	}
	if touched := slices.ContainsFunc(fake.Log(), func(op ipvsctl.Op) bool { return op.Service.Key != ours[0].Key }); touched {
		t.Error("an operation touched a foreign service")
	}
}

func TestALostVerdictIsSettledByReading(t *testing.T) {
	fake := ipvstest.NewFake()
	lost := &losing{Fake: fake}
	table := ipvstest.Pools(2, 2)
	result := mustReconcile(t, lost, table, nil)
	if diff := cmp.Diff(table, result.Live.Table(), comparer); diff != "" {
		t.Errorf("unexpected table (-want +got):\n%s", diff)
	}
	if n := len(fake.Log()); n != 6 {
		t.Errorf("%d operations reached the table, want 6: what was done is not repeated", n)
	}
}

// losing does the first half of the operations of its first batch and loses
// the verdicts.
type losing struct {
	*ipvstest.Fake
	lost bool
}

func (l *losing) Apply(ctx context.Context, ops []ipvsctl.Op) []error {
	if l.lost {
		return l.Fake.Apply(ctx, ops)
	}
	l.lost = true
	_ = l.Fake.Apply(ctx, ops[:len(ops)/2])
	errs := make([]error, len(ops))
	for i := range errs {
		errs[i] = ipvsctl.ErrOutcomeUnknown
	}
	return errs
}

// TestABusyEntryIsNamedAndFollowsLater: EBUSY is no reason to give up the others.
func TestABusyEntryIsNamedAndFollowsLater(t *testing.T) {
	desired := ipvstest.Pools(3, 2)
	fake := ipvstest.NewFake()
	busy := desired[1].Dests[0].Key
	fake.Refuse(func(op ipvsctl.Op) error {
		if op.Service.Key == desired[1].Key && op.Dest.Key == busy {
			return unix.EBUSY
		}
		return nil
	})
	r := ipvsctl.NewReconciler(fake)
	result, err := r.Reconcile(t.Context(), desired, nil)
	want := "adding destination 198.51.100.1:80 to service tcp 10.0.0.2:80: device or resource busy"
	if err != nil || len(result.Failed) != 1 || result.Failed[0].Error() != want || !errors.Is(result.Err(), unix.EBUSY) {
		t.Errorf("Reconcile = %v, %v, want %q alone", result.Failed, err, want)
	}
	fake.Refuse(nil)
	if result, err = r.Reconcile(t.Context(), desired, nil); err != nil || result.Err() != nil || len(result.Ops) != 1 {
		t.Errorf("later: %v, %v, %v, want the one operation", result.Ops, result.Err(), err)
	}
}

// TestAForeignServiceWithOurKeyIsAdopted: it becomes the desired one in place, and its
// counters go on.
func TestAForeignServiceWithOurKeyIsAdopted(t *testing.T) {
	desired := ipvstest.Pools(1, 2)
	theirs := ipvstest.Pools(1, 1)
	theirs[0].Scheduler = "sh"
	theirs[0].Dests[0].Weight = 99
	fake := ipvstest.NewFake()
	if errs := fake.Apply(t.Context(), ipvsctl.Plan(theirs, nil, nil)); errs != nil {
		t.Fatal(errs)
	}
	fake.Traffic(theirs[0].Key, theirs[0].Dests[0].Key, 7)
	fake.Log()
	result, err := ipvsctl.NewReconciler(fake).Reconcile(t.Context(), desired, nil)
	if err != nil || result.Err() != nil || len(result.Foreign) != 0 {
		t.Fatalf("Reconcile = %v, %v, foreign %v", err, result.Err(), result.Foreign)
	}
	want := []ipvsctl.OpKind{ipvsctl.UpdateService, ipvsctl.AddDest, ipvsctl.UpdateDest}
	var got []ipvsctl.OpKind
	for _, op := range fake.Log() {
		got = append(got, op.Kind)
	}
	if !slices.Equal(got, want) || result.Live[0].Stats.Conns != 7 {
		t.Errorf("it took %v, and %d connections are counted; want %v and 7", got, result.Live[0].Stats.Conns, want)
	}
}
