package vrrp

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLostLogLinesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		h := newAsyncHandler(slog.NewTextHandler(&text, nil))
		log := slog.New(h)
		for range logQueueLen + 7 { // nobody writes yet
			log.Info("line")
		}
		done := make(chan struct{})
		go func() { h.run(); close(done) }()
		synctest.Wait()
		log.Info("last")
		h.stop()
		<-done
		if got := strings.Count(text.String(), "msg=line"); got != logQueueLen {
			t.Errorf("%d lines written, want %d", got, logQueueLen)
		}
		if !strings.Contains(text.String(), "lines_lost=7") || !strings.Contains(text.String(), "msg=last") {
			t.Error("the lost lines are not mentioned, or the last one is missing")
		}
	})
}

func TestLogLimitPassesOneALinePerMinute(t *testing.T) {
	var g logLimit
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	passed, suppressed := 0, 0
	for range 121 { // seconds 0..120
		if ok, n := g.pass(now); ok {
			passed++
			suppressed += n
		}
		now = now.Add(time.Second)
	}
	if passed != 3 || suppressed != 118 {
		t.Errorf("%d lines passed, mentioning %d suppressed, want 3 and 118", passed, suppressed)
	}
}

func TestLatenessKeepsTheWorst(t *testing.T) {
	r := router{deadline: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	r.noteLateness(3 * time.Millisecond)
	r.noteLateness(time.Millisecond)
	if r.late != time.Millisecond || r.maxLate != 3*time.Millisecond {
		t.Errorf("lateness latest %v, worst %v, want 1ms, 3ms", r.late, r.maxLate)
	}
}
