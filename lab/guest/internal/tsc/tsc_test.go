package tsc_test

import (
	"runtime"
	"testing"

	"github.com/haldir-lb/haldir/lab/guest/internal/tsc"
)

func TestMeasurementsAgree(t *testing.T) {
	first, ok := tsc.KHz()
	if ok != (runtime.GOARCH == "amd64") {
		t.Fatalf("KHz on %s = %v", runtime.GOARCH, ok)
	}
	if !ok {
		return
	}
	second, _ := tsc.KHz()
	if first < 500_000 || first > 10_000_000 {
		t.Errorf("KHz = %d, want between 0.5 and 10 GHz", first)
	}
	if off := float64(second-first) / float64(first); off > 0.005 || off < -0.005 {
		t.Errorf("two measurements: %d and %d kHz, want a difference below 0.5 %%", first, second)
	}
}
