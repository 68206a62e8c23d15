package ipvsctl_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// TestChangedIsAllThatHasToBeTouched: reconciling the services that differ turns
// one table into the other, and reads no others.
func TestChangedIsAllThatHasToBeTouched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawTable(t, "a").Canonical(), drawTable(t, "b").Canonical()
		fake := load(t, a)
		fake.Reads()
		keys := ipvsctl.Changed(a, b)
		if !slices.IsSortedFunc(keys, ipvsctl.ServiceKey.Compare) {
			t.Fatalf("keys %v are not sorted", keys)
		}
		everything := func(ipvsctl.ServiceKey) bool { return true }
		result, err := ipvsctl.NewReconciler(fake).ReconcileServices(t.Context(), b, keys, everything)
		if err != nil || result.Err() != nil {
			t.Fatalf("ReconcileServices: %v, failures: %v", err, result.Err())
		}
		for _, op := range result.Ops {
			if !slices.Contains(keys, op.Service.Key) {
				t.Errorf("%v is of a service that does not differ", op)
			}
		}
		if most := 2 * len(keys); fake.Reads() > most {
			t.Errorf("more than %d services were read", most)
		}
		wantTable(t, b, read(t, fake))
		if again := ipvsctl.Changed(b, b); len(again) != 0 {
			t.Errorf("a table differs from itself in %v", again)
		}
	})
}
