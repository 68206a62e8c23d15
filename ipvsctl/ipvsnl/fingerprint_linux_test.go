package ipvsnl_test

import (
	"context"
	"errors"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

// TestFingerprintOfTheKernelsTable is in the process's own namespace, as the
// text is that of the calling thread.
func TestFingerprintOfTheKernelsTable(t *testing.T) {
	testenv.IPVS(t)
	h, err := ipvsnl.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		everything := func(ipvsctl.ServiceKey) bool { return true }
		_, err := ipvsctl.NewReconciler(h).Reconcile(context.Background(), nil, everything)
		if err := errors.Join(err, h.Close()); err != nil {
			t.Errorf("clearing the table: %v", err)
		}
	})
	sum := func() uint64 {
		n, err := ipvsnl.Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	empty := sum()
	table := ipvstest.Pools(3, 2)
	reconcile(t, h, table, nil)
	loaded := sum()
	if loaded == empty || sum() != loaded {
		t.Errorf("fingerprints: empty %x, loaded %x, again %x", empty, loaded, sum())
	}
	op := ipvsctl.Op{Kind: ipvsctl.UpdateDest, Service: table[1], Dest: table[1].Dests[1]}
	op.Dest.Weight++
	if err := errors.Join(h.Apply(t.Context(), []ipvsctl.Op{op})...); err != nil {
		t.Fatal(err)
	}
	if sum() == loaded {
		t.Error("another weight has the same fingerprint")
	}
}
