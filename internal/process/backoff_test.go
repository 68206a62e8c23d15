package process

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	const ms = time.Millisecond
	type death struct {
		life, delay time.Duration
		looping     bool
	}
	for _, test := range []struct {
		name   string
		deaths []death
	}{
		{"a long life is followed by a start at once", []death{{life: time.Hour}, {life: shortLife}, {life: time.Hour}}},
		{"short lives", []death{
			{0, 0, false}, {0, 0, false}, {0, 10 * ms, false}, {0, 20 * ms, false}, {0, 40 * ms, false}, {0, 80 * ms, false},
			{0, 160 * ms, false}, {0, 320 * ms, false}, {0, 640 * ms, false}, {0, time.Second, true}, {0, time.Second, true},
		}},
		{"a longer life forgives", []death{
			{shortLife - 1, 0, false}, {0, 0, false}, {0, 10 * ms, false}, {shortLife, 0, false}, {0, 0, false}, {0, 0, false}, {0, 10 * ms, false},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b backoff
			for i, d := range test.deaths {
				if delay, looping := b.died(d.life); delay != d.delay || looping != d.looping {
					t.Errorf("death %d after %v: delay %v, looping %v; want %v, %v", i+1, d.life, delay, looping, d.delay, d.looping)
				}
			}
		})
	}
}

func TestBackoffSeesASlowCrashLoop(t *testing.T) {
	var b backoff
	for i := 1; i < slowCrashLoop; i++ {
		if delay, looping := b.died(shortLife); delay != 0 || looping {
			t.Fatalf("death %d: delay %v, looping %v; want none of both", i, delay, looping)
		}
	}
	settled := b
	if _, looping := b.died(settledLife - 1); !looping {
		t.Errorf("%d lives of less than %v in a row are no crash loop", slowCrashLoop, settledLife)
	}
	if _, looping := settled.died(settledLife); looping {
		t.Errorf("a life of %v does not forgive", settledLife)
	}
}

func TestBackoffGrowsNoFurtherThanItsBound(t *testing.T) {
	var b backoff
	for range 100 {
		if delay, _ := b.died(0); delay < 0 || delay > longestDelay {
			t.Fatalf("delay %v after %d short lives, want at most %v", delay, b.shortLives, longestDelay)
		}
	}
}
