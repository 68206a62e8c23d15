package healthcheck

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDigestConfirmsWhatIsOlder(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	verdicts := map[string]Verdict{
		"old":   {ID: "old", Status: Up, Since: at(1), Checked: at(1), Reason: ReasonConnected, Duration: time.Second},
		"later": {ID: "later", Status: Down, Checked: at(9), Duration: time.Second},
	}
	var d Digest
	for _, id := range []string{"old", "later", "unknown"} {
		d.add(Verdict{ID: id, Checked: at(5), Duration: 3 * time.Millisecond})
	}
	d.IDs = append(d.IDs, "old") // of another length: from nobody of ours
	d.Confirm(verdicts)
	want := map[string]Verdict{
		"old":   {ID: "old", Status: Up, Since: at(1), Checked: at(5), Reason: ReasonConnected, Duration: 3 * time.Millisecond},
		"later": {ID: "later", Status: Down, Checked: at(9), Duration: time.Second},
	}
	if d := cmp.Diff(want, verdicts); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestDigestHasWhatWasConfirmedAlone: what says something new is given out by
// itself, and not before its time.
func TestDigestHasWhatWasConfirmedAlone(t *testing.T) {
	b := newTable(t, 10)
	b.digests = true
	b.assign(target("a"), target("b"))
	if got := b.check("a", pass); len(got) != 1 {
		t.Fatalf("the first verdict is given out %d times, want once", len(got))
	}
	b.check("b", pass)
	b.digest()
	b.check("a", pass)
	b.check("a", pass)
	got := b.check("a", pass)
	if d := b.digest(); len(got) != 0 || !cmp.Equal(d.IDs, []string{"a", "b"}) && !cmp.Equal(d.IDs, []string{"b", "a"}) {
		t.Errorf("confirmed: %d verdicts and a digest of %v, want none, and each once", len(got), d.IDs)
	}
	if d := b.digest(); len(d.IDs) != 0 {
		t.Errorf("the next digest has %v again", d.IDs)
	}
	b.check("a", pass)
	other := pass
	other.Detail = "in other words"
	if got := b.check("a", other); len(got) != 1 || got[0].Detail != other.Detail {
		t.Errorf("another detail: given out %+v, want it", got)
	}
	b.check("a", refuse)
	b.assign(target("b"))
	for _, id := range b.digest().IDs {
		if id == "a" {
			t.Error("the digest has a target that is gone")
		}
	}
}
