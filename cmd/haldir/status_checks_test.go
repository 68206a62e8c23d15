package main

import (
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
)

func TestRenderChecks(t *testing.T) {
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	recent, share := control.Of(740*time.Millisecond), 50
	report := control.ChecksReport{At: now, Unknown: "the checker does not answer", Checks: []control.CheckReport{{
		CheckStatus: control.CheckStatus{
			Target: "http 192.0.2.11:80", Health: "down", Stale: true, Since: ago(time.Minute), Checked: &recent, Reason: "unexpected status",
			Detail: "status 503", Duration: control.Of(1234 * time.Microsecond), Rising: 1, Falling: 2, Flapping: 8, Share: &share,
		},
		Services: []string{"web", "shop"},
		History: []control.CheckRecord{
			{First: ago(time.Hour), Last: ago(time.Minute), Count: 1800, Outcome: "passed", Health: "up", Reason: "answered as expected", Longest: control.Of(20 * time.Millisecond)},
			{First: ago(time.Second), Last: ago(time.Second), Count: 1, Outcome: "failed", Health: "down", Reason: "script failed", Detail: "exit status 3", Output: "a\nb", Longest: control.Of(time.Second)},
		},
	}}}
	want := `http 192.0.2.11:80 down for 1m  judges web, shop
  checked 740ms ago in 1.23ms: unexpected status, status 503
  stale: no checker has confirmed it
  1 successes in a row
  2 failures in a row
  it keeps falling: needs 8 successes to come back
  asks for 50% of its weight
  failed                 1×  1s ago                   script failed, exit status 3 (then down, 1s at most)
    | a
    | b
  passed              1800×  1h to 1m ago             answered as expected (then up, 20ms at most)
unknown history: the checker does not answer
`
	if got := renderChecks(report, palette(false)); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := renderChecks(report, palette(true)); !strings.Contains(got, "\x1b[31;1mdown\x1b[0m") {
		t.Errorf("down is not red:\n%q", got)
	}
}
