package vrrp

import (
	"slices"
	"testing"
	"time"
)

func TestLatenessIsCountedInItsBucket(t *testing.T) {
	if !slices.IsSorted(LatenessBounds()) {
		t.Fatalf("bounds %v", LatenessBounds())
	}
	for late, want := range map[time.Duration]int{
		0: 0, 100 * time.Microsecond: 0, 100*time.Microsecond + 1: 1, time.Millisecond: 3, time.Second: 12, time.Second + 1: 13, time.Hour: 13,
	} {
		var l Lateness
		l.add(late)
		if l.Buckets[want] != 1 || l.Count() != 1 || l.Sum != late || l.Max != late || l.Last != late {
			t.Errorf("%v: %+v, want it in bucket %d", late, l, want)
		}
	}
	var l Lateness
	l.add(3 * time.Second)
	l.add(time.Millisecond)
	if l.Max != 3*time.Second || l.Last != time.Millisecond || l.Count() != 2 || l.Sum != 3001*time.Millisecond {
		t.Errorf("two adverts: %+v", l)
	}
}
