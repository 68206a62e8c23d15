package director

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/internal/process"
)

// events returns what happened after an ID, in words.
func (n *node) events(after uint64) (lines []string, last uint64) {
	n.t.Helper()
	result, err := n.director.Events(n.t.Context(), control.EventsRequest{After: after})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, e := range result.Events {
		lines = append(lines, e.String())
		last = e.ID
	}
	return lines, last
}

func (n *node) wantEvents(when string, after uint64, want ...string) uint64 {
	n.t.Helper()
	got, last := n.events(after)
	if !slices.Equal(got, want) {
		n.t.Errorf("%s:\n got %s\nwant %s", when, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	return last
}

func TestWhatHappensIsWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		last := n.wantEvents("the start", 0,
			"start lvs1: started (haldir )",
			"transition edge: init to backup (start)",
			"health "+web1+": unknown to up",
			"transition edge: backup to master (master silent)")

		v := healthcheck.Verdict{ID: web1, Status: healthcheck.Down, Since: time.Now(), Reason: "connection refused", Detail: "3 times"}
		if err := n.atChecker.Send("verdict", web1, v); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		last = n.wantEvents("a real server that fails", last, "health "+web1+": up to down (connection refused, 3 times)")

		n.file(nil, errors.New("file.toml:1:1: wrong"))
		if _, err := n.director.Reload(as(t.Context(), "alice")); err != nil {
			t.Fatal(err)
		}
		n.reload(pairConfig("lvs1"))
		last = n.wantEvents("reloads", last, "reload: refused (file.toml:1:1: wrong), by alice", "reload: applied (0 changes), by unknown")

		for restarts := range 2 {
			children := process.Children{Children: []process.Child{{Role: process.Checker, Restarts: restarts, LastExit: "signal: killed", Since: time.Now(), Down: 12 * time.Millisecond}}}
			if err := n.atSupervisor.Send(process.KindChildren, "", children); err != nil {
				t.Fatal(err)
			}
			settle(time.Millisecond)
		}
		last = n.wantEvents("a process that died", last, "process checker: restarted (signal: killed, it was down for 12ms)")

		if _, err := n.director.Failover(as(t.Context(), "bob"), control.FailoverRequest{}); err != nil {
			t.Fatal(err)
		}
		n.wantEvents("a failover that nobody took", last,
			"transition edge: master to leaving (handed over on request)",
			"transition edge: leaving to master (no successor heard)",
			"operator failover: not handed over, by bob")

		// They are there after a restart.
		n.killDirector()
		_ = n.endDirector()
		n.startDirector()
		settle(time.Second)
		lines, _ := n.events(0)
		if !slices.Contains(lines, "operator failover: not handed over, by bob") ||
			lines[len(lines)-1] != "start lvs1: taking over from a director that died (haldir )" {
			t.Errorf("after a crash of the director: %q", lines)
		}
	})
}

func TestPoolsThatFailAndRecoverAreWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := drainable(t)
		defer n.end()
		n.judge(web1, healthcheck.Down)
		settle(time.Second)
		_, last := n.events(0)
		n.judge(web2, healthcheck.Down)
		settle(time.Second)
		n.judge(web2, healthcheck.Up)
		settle(time.Second)
		lines, _ := n.events(last)
		lines = slices.DeleteFunc(lines, func(l string) bool { return !strings.HasPrefix(l, "pool") })
		want := []string{
			"pool web: ok to below quorum (192.0.2.100:80, weight 0 of 3 is up)",
			"pool web: below quorum to ok (192.0.2.100:80, weight 2 of 3 is up)",
		}
		if !slices.Equal(lines, want) {
			t.Errorf("events %q, want %q", lines, want)
		}
	})
}

func TestEventsAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		_, last := n.events(0)
		began := time.Now()
		result, err := n.director.Events(t.Context(), control.EventsRequest{After: last, Wait: 5 * time.Second})
		if took := time.Since(began); err != nil || len(result.Events) != 0 || took != 5*time.Second {
			t.Errorf("%v, %v after %v, want nothing after 5s", result, err, took)
		}
		time.AfterFunc(time.Second, func() { n.director.happened(journal.Event{Kind: journal.KindAddress, Subject: "x"}) })
		began = time.Now()
		result, err = n.director.Events(t.Context(), control.EventsRequest{After: last, Wait: 5 * time.Second})
		if took := time.Since(began); err != nil || len(result.Events) != 1 || took != time.Second {
			t.Errorf("%v, %v after %v, want the event after 1s", result, err, took)
		}
	})
}
