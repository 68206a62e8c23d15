package track

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestJudge(t *testing.T) {
	eligible := func(priority uint8, why string) Standing {
		return Standing{Priority: priority, Eligible: true, Why: why}
	}
	required := func(s Status) Factor { return Factor{Name: "interface eth1", Status: s} }
	weighted := func(w int, s Status) Factor { return Factor{Name: "script", Weight: w, Status: s} }
	file := func(n int, s Status) Factor { return Factor{Name: "file", Reads: true, Number: n, Status: s} }
	running := Standing{Priority: 77, Eligible: true}
	for _, test := range []struct {
		name    string
		base    uint8
		factors []Factor
		before  Standing
		late    bool
		want    Standing
	}{
		{"none", 100, nil, Standing{}, false, eligible(100, "")},
		{"required up", 100, []Factor{required(Up)}, Standing{}, false, eligible(100, "")},
		{"required down", 100, []Factor{required(Down)}, running, false, Standing{Priority: 100, Why: "interface eth1 down"}},
		{"required down on the owner", 255, []Factor{required(Down)}, running, false, Standing{Priority: 255, Why: "interface eth1 down"}},
		{"negative up", 150, []Factor{weighted(-60, Up)}, running, false, eligible(150, "")},
		{"negative down", 150, []Factor{weighted(-60, Down)}, running, false, eligible(90, "script down: -60")},
		{"positive up", 150, []Factor{weighted(60, Up)}, running, false, eligible(210, "script up: +60")},
		{"positive down", 150, []Factor{weighted(60, Down)}, running, false, eligible(150, "")},
		{"number", 150, []Factor{file(-20, Up)}, running, false, eligible(130, "file says -20")},
		{"number of a fault", 150, []Factor{file(-254, Up)}, running, false, Standing{Priority: 150, Why: "file says -254"}},
		{"number that cannot be read", 150, []Factor{file(-20, Down)}, running, false, eligible(150, "")},
		{"sum clamped below", 10, []Factor{weighted(-60, Down)}, running, false, eligible(1, "script down: -60")},
		{"sum clamped above", 200, []Factor{weighted(60, Up)}, running, false, eligible(254, "script up: +60")},
		{"owner keeps its priority", 255, []Factor{weighted(-60, Down), file(-9, Up)}, running, false, eligible(255, "script down: -60, file says -9")},

		{"required unknown at the start", 100, []Factor{required(Unknown)}, Standing{}, false,
			Standing{Priority: 100, Waiting: true, Why: "interface eth1 not checked yet"}},
		{"required unknown, late", 100, []Factor{required(Unknown)}, Standing{}, true,
			Standing{Priority: 100, Waiting: true, Why: "interface eth1 not checked yet"}},
		{"required unknown on one that runs", 100, []Factor{required(Unknown)}, running, true, eligible(100, "")},
		{"weighted unknown at the start", 150, []Factor{weighted(-60, Unknown)}, Standing{}, false,
			Standing{Priority: 150, Waiting: true, Why: "script not checked yet"}},
		{"weighted unknown, late", 150, []Factor{weighted(-60, Unknown)}, Standing{}, true, eligible(90, "script not checked in time: -60")},
		{"weighted unknown on one that runs", 150, []Factor{weighted(-60, Unknown)}, running, false, eligible(77, "")},
		{"weighted unknown on one that was an owner", 150, []Factor{weighted(-60, Unknown)}, Standing{Priority: 255, Eligible: true}, false, eligible(150, "")},
		{"one fails, one is unknown", 100, []Factor{required(Down), weighted(-1, Unknown)}, Standing{}, false,
			Standing{Priority: 100, Why: "interface eth1 down, script not checked yet"}},
	} {
		got := Judge(test.base, test.factors, test.before, test.late)
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func factors(t *rapid.T) []Factor {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Factor {
		return Factor{
			Name:   fmt.Sprintf("f%d", rapid.IntRange(0, 99).Draw(t, "name")),
			Status: Status(rapid.IntRange(0, 2).Draw(t, "status")),
			Weight: rapid.IntRange(-MaxWeight, MaxWeight).Draw(t, "weight"),
			Reads:  rapid.Bool().Draw(t, "reads"),
			Number: rapid.IntRange(-MaxWeight, MaxWeight).Draw(t, "number"),
		}
	}), 0, 6).Draw(t, "factors")
}

// A weight never makes an owner, never unmakes one, and never yields what no
// router may advertise.
func TestPriorityStaysInRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Uint8Range(1, 255).Draw(t, "base")
		before := Standing{Priority: rapid.Uint8().Draw(t, "before"), Eligible: rapid.Bool().Draw(t, "eligible")}
		got := Judge(base, factors(t), before, rapid.Bool().Draw(t, "late"))
		if before.Eligible && before.Priority == 0 {
			return // no router has it
		}
		if got.Priority == 0 || (got.Priority == Owner) != (base == Owner) {
			t.Fatalf("priority %d of base %d", got.Priority, base)
		}
	})
}

// Whatever fails can only make a router worse.
func TestAFailureNeverHelps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Uint8Range(1, 255).Draw(t, "base")
		all := factors(t)
		for i := range all {
			all[i].Status, all[i].Reads = Up, false
		}
		better := Judge(base, all, Standing{}, false)
		if len(all) > 0 {
			all = slices.Clone(all)
			all[rapid.IntRange(0, len(all)-1).Draw(t, "which")].Status = Down
		}
		worse := Judge(base, all, Standing{}, false)
		if worse.Priority > better.Priority || worse.Eligible && !better.Eligible {
			t.Fatalf("%+v became %+v by a failure", better, worse)
		}
	})
}

// The order of the trackers in the file decides nothing.
func TestOrderDecidesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Uint8Range(1, 255).Draw(t, "base")
		all := factors(t)
		a := Judge(base, all, Standing{}, true)
		slices.Reverse(all)
		b := Judge(base, all, Standing{}, true)
		if a.Priority != b.Priority || a.Eligible != b.Eligible || a.Waiting != b.Waiting {
			t.Fatalf("%+v in one order, %+v in the other", a, b)
		}
	})
}

// Worst and Best bound every change.
func TestChangesStayWithinTheirBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, f := range factors(t) {
			if c := f.Change(); c < f.Worst() || c > f.Best() {
				t.Fatalf("%+v changes the priority by %d, outside of %d..%d", f, c, f.Worst(), f.Best())
			}
			if f.Fails() && !f.Disables() {
				t.Fatalf("%+v fails and cannot disable", f)
			}
		}
	})
}
