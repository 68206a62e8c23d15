package director

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/statefile"
)

// believer is a director that has read the given file.
func believer(t *testing.T, left belief) *Director {
	t.Helper()
	dir := t.TempDir()
	if err := statefile.Save(beliefPath(dir), left); err != nil {
		t.Fatal(err)
	}
	d := New(Options{StateDir: dir, Log: quiet()})
	d.health[web2] = healthcheck.Verdict{ID: web2, Status: healthcheck.Up} // as the checker says
	d.recallBelief()
	return d
}

func TestANodeBeginsWithWhatWasBelieved(t *testing.T) {
	since := time.Now().Add(-time.Hour).Truncate(time.Second)
	left := belief{At: time.Now().Add(-time.Minute), Health: map[string]healthcheck.Verdict{
		web1:  {ID: web1, Status: healthcheck.Down, Since: since, Reason: "timeout"},
		web2:  {ID: web2, Status: healthcheck.Down},
		"odd": {Status: "sideways"},
	}}
	d := believer(t, left)
	if v := d.health[web1]; v.Status != healthcheck.Down || !v.Known || !v.Since.Equal(since) || v.Reason != "timeout" {
		t.Errorf("of %s is believed: %+v, want down, marked as known from before", web1, v)
	}
	if v := d.health[web2]; v.Status != healthcheck.Up || v.Known {
		t.Errorf("of %s is believed: %+v, want what the checker said", web2, v)
	}
	if v, there := d.health["odd"]; there {
		t.Errorf("a status that is none is believed: %+v", v)
	}
	for name, at := range map[string]time.Time{"too old": time.Now().Add(-beliefLimit - time.Second), "from the future": time.Now().Add(time.Hour)} {
		left.At = at
		if v, there := believer(t, left).health[web1]; there {
			t.Errorf("what is %s is believed: %+v", name, v)
		}
	}
}

func TestAFileThatIsBrokenIsNotBelieved(t *testing.T) {
	d := New(Options{StateDir: t.TempDir(), Log: quiet()})
	if err := statefile.Replace(beliefPath(d.StateDir), []byte("{")); err != nil {
		t.Fatal(err)
	}
	d.recallBelief()
	if len(d.health) != 0 {
		t.Errorf("believed: %+v, want nothing", d.health)
	}
}

func TestWhatIsBelievedIsWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t) // with web1 up
		defer n.end()
		n.judge(web2, healthcheck.Down)
		settle(2 * beliefEvery)
		var kept belief
		if err := statefile.Load(filepath.Join(n.state, "health.json"), &kept); err != nil {
			t.Fatal(err)
		}
		if kept.Health[web1].Status != healthcheck.Up || kept.Health[web2].Status != healthcheck.Down || time.Since(kept.At) > 2*beliefEvery {
			t.Errorf("written down: %+v", kept)
		}
		at := kept.At
		settle(2 * beliefAgain)
		if err := statefile.Load(filepath.Join(n.state, "health.json"), &kept); err != nil || !kept.At.After(at.Add(beliefAgain)) {
			t.Errorf("written down at %s (%v), want again after a minute", kept.At, err)
		}
	})
}
