package director

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/checker"
)

// TestDigestRenewsTheAgeOfAJudgementAndNothingElse: what checks confirm moves no
// pool.
func TestDigestRenewsTheAgeOfAJudgementAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		state := func() (v healthcheck.Verdict, generation uint64) {
			if err := n.director.do(context.Background(), func() { v, generation = n.director.health[web1], n.director.generation }); err != nil {
				t.Fatal(err)
			}
			return v, generation
		}
		before, generation := state()
		at := before.Checked.Add(5 * time.Second).Truncate(time.Millisecond)
		digest := healthcheck.Digest{IDs: []string{web1, "nobody"}, Checked: []int64{at.UnixMilli(), at.UnixMilli()}, Took: []int64{250, 250}}
		if err := n.atChecker.Send(checker.KindDigest, "", digest); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		got, after := state()
		want := before
		want.Checked, want.Duration = at, 250*time.Microsecond
		if !got.Checked.Equal(at) || got.Duration != want.Duration || got.Status != before.Status || !got.Since.Equal(before.Since) {
			t.Errorf("after the digest %+v, want %+v", got, want)
		}
		if after != generation {
			t.Error("the desired state was computed anew, though nothing had changed")
		}
	})
}

// TestJudgementsThatComeTogetherAreSettledTogether: a thousand of them cost a few
// computations of the desired state, and the last one counts.
func TestJudgementsThatComeTogetherAreSettledTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		d := n.director
		if err := d.do(context.Background(), func() {
			before := d.generation
			for i := range 1000 {
				status := healthcheck.Down
				if i%2 == 1 {
					status = healthcheck.Up
				}
				d.verdict(healthcheck.Verdict{ID: web2, Status: status, Since: time.Now(), Checked: time.Now()})
				d.settle(false)
			}
			if d.generation != before {
				t.Errorf("%d computations while more was to come, want none yet", d.generation-before)
			}
			d.settle(true)
			if d.generation != before+1 {
				t.Errorf("%d computations in all, want 1", d.generation-before)
			}
			d.verdict(healthcheck.Verdict{ID: web2, Status: healthcheck.Down, Since: time.Now(), Checked: time.Now()})
			time.Sleep(settleWithin)
			d.settle(false)
			if d.generation != before+2 {
				t.Error("others are waited for without a bound")
			}
		}); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		live, err := n.host.Table(t.Context())
		if err != nil || len(live) != 1 || len(live[0].Dests) != 1 {
			t.Errorf("table %v (%v), want web1 alone", live, err)
		}
	})
}
