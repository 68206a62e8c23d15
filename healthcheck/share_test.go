package healthcheck

import (
	"encoding/json"
	"testing"
	"time"
)

func TestShareOfAWeight(t *testing.T) {
	for _, test := range []struct {
		share  Share
		weight uint32
		want   uint32
	}{
		{Share{}, 7, 7},
		{Share{Percent: 50}, 7, 7}, // not asked
		{Percent(100), 7, 7},
		{Percent(75), 100, 75},
		{Percent(50), 1, 1}, // never nothing but by 0
		{Percent(1), 3, 1},
		{Percent(0), 65535, 0},
		{Percent(50), 0, 0},
		{Percent(-5), 7, 0},
		{Percent(200), 7, 14},
		{Percent(5000), 1, 10},
		{Percent(1000), 65535, 65535},
		{Share{Asked: true, Percent: 1 << 40}, 10, 100},
	} {
		if got := test.share.Of(test.weight); got != test.want {
			t.Errorf("%+v of %d = %d, want %d", test.share, test.weight, got, test.want)
		}
	}
}

func TestShareIsKeptOverAFailureAndGivenOutAtOnce(t *testing.T) {
	b := newTable(t, 10)
	b.assign(target("a", func(t *Target) { t.Every = 100 * time.Millisecond }))
	asks := func(percent int) Result {
		return Result{Outcome: Pass, Reason: ReasonAnswered, Share: Percent(percent)}
	}
	for _, percent := range []int{50, 0, 75} { // within a second
		if got := b.check("a", asks(percent)); len(got) != 1 || got[0].Share != Percent(percent) {
			t.Fatalf("given out: %+v, want a share of %d percent", got, percent)
		}
	}
	b.check("a", refuse)
	if got := b.verdicts()[0]; got.Share != Percent(75) || got.Status != Up {
		t.Errorf("after one failure of three: %+v, want up with 75 percent still", got)
	}
	if got := b.check("a", pass); len(got) != 1 || got[0].Share.Asked {
		t.Errorf("given out: %+v, want no share", got)
	}
}

func TestShareTravels(t *testing.T) {
	for text, want := range map[string]Verdict{
		`{"id":"a","status":"up","since":"0001-01-01T00:00:00Z","share":{"asked":true,"percent":0}}`: {ID: "a", Status: Up, Share: Percent(0)},
		`{"id":"a","status":"up","since":"0001-01-01T00:00:00Z"}`:                                    {ID: "a", Status: Up},
	} {
		got, err := json.Marshal(want)
		if err != nil || string(got) != text {
			t.Errorf("%+v is %s (%v), want %s", want, got, err, text)
		}
	}
}
