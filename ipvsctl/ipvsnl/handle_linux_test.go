package ipvsnl

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

func openSim(t *testing.T, k *simKernel) *Handle {
	t.Helper()
	h, err := open(k.dial)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func TestHandleKeepsTheContractOnASimulatedKernel(t *testing.T) {
	ipvstest.Contract(t, func(t *testing.T) ipvsctl.Handle { return openSim(t, newSimKernel()) })
}

// loadOps are the additions of a table of n services with one destination.
func loadOps(n int) []ipvsctl.Op {
	return ipvsctl.Plan(ipvstest.Pools(n, 1), nil, nil)
}

func TestApplySendsManyOperationsAtOnce(t *testing.T) {
	k := newSimKernel()
	h := openSim(t, k)
	if errs := h.Apply(t.Context(), loadOps(1250)); errs != nil {
		t.Fatal(errors.Join(errs...))
	}
	if want := []int{1000, 1000, 500}; !slices.Equal(k.sends, want) {
		t.Errorf("requests in each send = %v, want %v", k.sends, want)
	}
}

func TestOpenSaysTheRemedyWhereIPVSIsAbsent(t *testing.T) {
	k := newSimKernel()
	k.load(0)
	_, err := open(k.dial)
	if !errors.Is(err, ipvsctl.ErrUnavailable) || !strings.Contains(err.Error(), "modprobe ip_vs") {
		t.Errorf("open = %v, want %v and the remedy", err, ipvsctl.ErrUnavailable)
	}
}

func TestTheHandleOutlivesTheModule(t *testing.T) {
	k := newSimKernel()
	h := openSim(t, k)
	k.load(0)
	if _, err := h.Read(t.Context()); !errors.Is(err, ipvsctl.ErrUnavailable) {
		t.Errorf("Read without the module = %v, want %v", err, ipvsctl.ErrUnavailable)
	}
	errs := h.Apply(t.Context(), loadOps(1))
	if len(errs) != 2 || !errors.Is(errs[0], ipvsctl.ErrUnavailable) || !errors.Is(errs[1], ipvsctl.ErrUnavailable) {
		t.Errorf("Apply without the module = %v, want %v for both", errs, ipvsctl.ErrUnavailable)
	}
	k.load(33)
	if errs := h.Apply(t.Context(), loadOps(1)); errs != nil {
		t.Errorf("Apply after the module came back with another number: %v", errs)
	}
	if live, err := h.Read(t.Context()); err != nil || len(live) != 1 {
		t.Errorf("Read = %v, %v, want one service", live, err)
	}
}

func TestAMissingFamilyIsNotTakenForAMissingScheduler(t *testing.T) {
	k := newSimKernel()
	h := openSim(t, k)
	// The module goes after the family was resolved, before the batch arrives.
	k.tamper(func(answers [][]byte) ([][]byte, error) {
		k.family = 0
		for _, a := range answers {
			turnIntoVerdict(a, unix.ENOENT)
		}
		return answers, nil
	})
	errs := h.Apply(t.Context(), loadOps(1)[:1])
	if len(errs) != 1 || !errors.Is(errs[0], ipvsctl.ErrUnavailable) || errors.Is(errs[0], ipvsctl.ErrNoModule) {
		t.Errorf("Apply = %v, want %v", errs, ipvsctl.ErrUnavailable)
	}
}

func TestLostVerdictsAreUnknownAndTheRestIsNotTried(t *testing.T) {
	k := newSimKernel()
	h := openSim(t, k)
	dials := k.dials
	k.tamper(func([][]byte) ([][]byte, error) { return nil, unix.ENOBUFS })
	ops := loadOps(750)
	errs := h.Apply(t.Context(), ops)
	if len(errs) != len(ops) {
		t.Fatalf("Apply returned %d errors, want %d", len(errs), len(ops))
	}
	for i, err := range errs {
		if unknown := errors.Is(err, ipvsctl.ErrOutcomeUnknown); unknown != (i < 1000) || !errors.Is(err, unix.ENOBUFS) {
			t.Fatalf("operation %d = %v, want ENOBUFS, its outcome unknown only in the first batch", i, err)
		}
	}
	k.tamper(nil)
	// The next use has a new socket and the reconciler finishes the work.
	result, err := ipvsctl.NewReconciler(h).Reconcile(t.Context(), ipvstest.Pools(750, 1), nil)
	if err != nil || result.Err() != nil || len(result.Live) != 750 {
		t.Errorf("Reconcile = %d services, %v, %v", len(result.Live), err, result.Err())
	}
	if len(result.Ops) != len(ops)-1000 {
		t.Errorf("reconciling took %d operations, want the %d that were not done", len(result.Ops), len(ops)-1000)
	}
	if k.dials != dials+1 {
		t.Errorf("%d sockets were opened after the loss, want 1", k.dials-dials)
	}
}

func TestACancelledWaitEndsAtOnce(t *testing.T) {
	k := newSimKernel()
	h := openSim(t, k)
	ctx, cancel := context.WithCancel(t.Context())
	k.tamper(func([][]byte) ([][]byte, error) {
		cancel()
		return nil, nil // no answer, ever
	})
	if _, err := h.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Read = %v, want %v", err, context.Canceled)
	}
}

func TestBatchesKeepToTheBuffers(t *testing.T) {
	ops := loadOps(20)
	for name, c := range map[string]struct {
		link     link
		requests int // at most, in one batch
	}{
		"receive buffer": {link{batch: 3, maxBytes: 1 << 20}, 3},
		"send buffer":    {link{batch: 1000, maxBytes: minBytes}, 8},
	} {
		errs := make([]error, len(ops))
		total := 0
		for begin := 0; begin < len(ops); {
			_, requests, end := c.link.encodeBatch(ops, errs, begin)
			bytes := 0
			for _, r := range requests {
				bytes += unix.NLMSG_HDRLEN + len(r)
			}
			if n := len(requests); n == 0 || n > c.requests || bytes > c.link.maxBytes {
				t.Fatalf("%s: a batch of %d requests and %d bytes, want 1 to %d requests in %d bytes", name, n, bytes, c.requests, c.link.maxBytes)
			}
			begin, total = end, total+len(requests)
		}
		if total != len(ops) {
			t.Errorf("%s: %d requests for %d operations", name, total, len(ops))
		}
	}
}
