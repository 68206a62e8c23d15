package vrrp

import (
	"testing"
	"time"
)

// RFC 9568, 6.1: "Skew_Time ... Calculated as (((256 - priority) *
// Active_Adver_Interval) / 256)"; "Active_Down_Interval ... Calculated as (3 *
// Active_Adver_Interval) + Skew_Time".
func TestTimingFormulas(t *testing.T) {
	for _, test := range []struct {
		priority   uint8
		interval   time.Duration
		skew, down time.Duration
	}{
		{200, time.Second, 218750 * time.Microsecond, 3218750 * time.Microsecond},
		{150, time.Second, 414062500 * time.Nanosecond, 3414062500 * time.Nanosecond},
		{100, time.Second, 609375 * time.Microsecond, 3609375 * time.Microsecond},
		{1, time.Second, 996093750 * time.Nanosecond, 3996093750 * time.Nanosecond},
		{255, time.Second, 3906250 * time.Nanosecond, 3003906250 * time.Nanosecond},
		{128, 10 * time.Millisecond, 5 * time.Millisecond, 35 * time.Millisecond},
		{128, 40950 * time.Millisecond, 20475 * time.Millisecond, 143325 * time.Millisecond},
	} {
		if got := SkewTime(test.priority, test.interval); got != test.skew {
			t.Errorf("SkewTime(%d, %v) = %v, want %v", test.priority, test.interval, got, test.skew)
		}
		if got := MasterDownInterval(test.priority, test.interval); got != test.down {
			t.Errorf("MasterDownInterval(%d, %v) = %v, want %v", test.priority, test.interval, got, test.down)
		}
	}
}

func TestPatienceIsTheMostEagerBackups(t *testing.T) {
	cfg := config(1) // whatever its own priority
	if got, want := cfg.Patience(), 3007812500*time.Nanosecond; got != want {
		t.Errorf("Patience at 1s = %v, want %v", got, want)
	}
}
