package process

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestHelloSaysHowLongTheRoleWasDown(t *testing.T) {
	died := time.Date(2030, 1, 2, 3, 4, 5, 678, time.UTC)
	_, value, _ := strings.Cut(DiedEnvironment(died), "=")
	for _, test := range []struct {
		name string
		died string
		now  time.Time
		want time.Duration
	}{
		{"the first process", "", died, 0},
		{"after a death", value, died.Add(5 * time.Millisecond), 5 * time.Millisecond},
		{"the clock was set back", value, died.Add(-time.Second), 0},
		{"the clock was set ahead", value, died.Add(maxDown), 0},
		{"just believed", value, died.Add(maxDown - 1), maxDown - 1},
		{"no number", "yesterday", died, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, want := hello(42, test.died, test.now), (Hello{PID: 42, Down: test.want}); got != want {
				t.Errorf("hello = %+v, want %+v", got, want)
			}
		})
	}
}

func TestNewHelloReadsItsEnvironment(t *testing.T) {
	name, value, _ := strings.Cut(DiedEnvironment(time.Now().Add(-time.Minute)), "=")
	t.Setenv(name, value)
	h := NewHello()
	if h.PID != os.Getpid() || h.Down < time.Minute || h.Down > 2*time.Minute {
		t.Errorf("NewHello = %+v, want process %d, down for a minute", h, os.Getpid())
	}
}
