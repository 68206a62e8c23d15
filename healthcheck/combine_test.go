package healthcheck

import (
	"testing"
	"time"
)

func TestCombinedVerdicts(t *testing.T) {
	early, late := time.Unix(100, 0), time.Unix(200, 0)
	up := Verdict{ID: "a", Status: Up, Reason: ReasonConnected, Checked: late, Since: early}
	down := Verdict{ID: "b", Status: Down, Reason: ReasonRefused, Checked: early, Since: late}
	unknown := Verdict{}
	half := up
	half.Share = Percent(50)
	third := up
	third.Share, third.Known = Percent(30), true
	warned := up
	warned.Warning, warned.Reason = true, ReasonExpires
	for name, test := range map[string]struct {
		combine func([]Verdict) Verdict
		of      []Verdict
		want    Verdict
	}{
		"all of none":                      {All, nil, Verdict{}},
		"any of none":                      {Any, nil, Verdict{}},
		"all of one":                       {All, []Verdict{down}, down},
		"all: one down takes it down":      {All, []Verdict{up, down, unknown}, Verdict{Status: Down, Reason: ReasonRefused, Since: late}},
		"all: one unjudged keeps it out":   {All, []Verdict{up, unknown}, Verdict{Status: Unknown}},
		"any: one up suffices":             {Any, []Verdict{down, unknown, up}, Verdict{Status: Up, Reason: ReasonConnected, Since: early}},
		"any: one unjudged is not down":    {Any, []Verdict{down, unknown}, Verdict{Status: Unknown}},
		"any: all down":                    {Any, []Verdict{down, down}, Verdict{Status: Down, Reason: ReasonRefused, Since: late, Checked: early}},
		"all up":                           {All, []Verdict{up, up}, Verdict{Status: Up, Reason: ReasonConnected, Since: early, Checked: late}},
		"the least share counts":           {All, []Verdict{half, up, third}, Verdict{Status: Up, Reason: ReasonConnected, Since: early, Checked: late, Share: Percent(30), Known: true}},
		"a warning of one is one of all":   {All, []Verdict{up, warned}, Verdict{Status: Up, Reason: ReasonExpires, Since: early, Checked: late, Warning: true}},
		"the warning of one that is moot ": {All, []Verdict{warned, down}, Verdict{Status: Down, Reason: ReasonRefused, Since: late, Checked: early}},
	} {
		if got := test.combine(test.of); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
