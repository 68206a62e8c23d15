package healthcheck

import (
	"testing"

	"pgregory.net/rapid"
)

func TestHysteresisChangesAtTheThresholds(t *testing.T) {
	// p and f are checks that pass and fail; the letter after each is the status then.
	tests := []struct {
		name       string
		rise, fall int
		story      string
	}{
		{"a first success is enough", 3, 3, "pU"},
		{"a first failure says nothing yet", 2, 3, "f? f? fD"},
		{"unknown takes a success before the fall'th failure", 2, 3, "f? f? pU"},
		{"down at the fall'th consecutive failure", 1, 3, "pU fU fU fD"},
		{"a success starts the count again", 1, 2, "pU fU pU fU pU fU fD"},
		{"up at the rise'th consecutive success", 3, 1, "fD pD pD pU"},
		{"a failure starts the count again", 2, 1, "fD pD fD pD pU"},
		{"thresholds of one follow every check", 1, 1, "fD pU fD pU"},
		{"thresholds below one count as one", 0, -1, "fD pU fD"},
	}
	letters := map[byte]Status{'?': Unknown, 'U': Up, 'D': Down}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h Hysteresis
			for i := 0; i < len(tt.story); i += 3 {
				h = h.Next(tt.story[i] == 'p', tt.rise, tt.fall)
				if want := letters[tt.story[i+1]]; h.Status != want {
					t.Fatalf("after %q: status = %s, want %s", tt.story[:i+2], h.Status, want)
				}
			}
		})
	}
}

// The reference looks back over the whole history instead of counting along.
func TestHysteresisEqualsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rise := rapid.IntRange(1, 5).Draw(t, "rise")
		fall := rapid.IntRange(1, 5).Draw(t, "fall")
		checks := rapid.SliceOfN(rapid.Bool(), 0, 60).Draw(t, "checks")
		var h Hysteresis
		want, judged := Unknown, false
		for i, ok := range checks {
			h = h.Next(ok, rise, fall)

			streak := 0
			for j := i; j >= 0 && checks[j] == ok; j-- {
				streak++
			}
			switch {
			case ok && (!judged || want == Up || streak >= rise):
				want, judged = Up, true
			case !ok && streak >= fall:
				want, judged = Down, true
			}
			if h.Status != want {
				t.Fatalf("after %v with rise %d, fall %d: status = %s, want %s", checks[:i+1], rise, fall, h.Status, want)
			}
			if h.Rising != 0 && (h.Status != Down || h.Rising >= rise) {
				t.Fatalf("rising = %d of %d while %s", h.Rising, rise, h.Status)
			}
			if h.Falling != 0 && (h.Status == Down || h.Falling >= fall) {
				t.Fatalf("falling = %d of %d while %s", h.Falling, fall, h.Status)
			}
		}
	})
}

func TestHysteresisStartsFromAnyStatus(t *testing.T) {
	tests := []struct {
		name string
		from Hysteresis
		ok   bool
		want Hysteresis
	}{
		{"the zero value is unknown", Hysteresis{}, false, Hysteresis{Status: Unknown, Falling: 1}},
		{"a status of another program is unknown", Hysteresis{Status: "fine"}, false, Hysteresis{Status: Unknown, Falling: 1}},
		{"one step from down", Hysteresis{Status: Up, Falling: 2}, false, Hysteresis{Status: Down}},
		{"one step from up", Hysteresis{Status: Down, Rising: 1}, true, Hysteresis{Status: Up}},
		{"a count beyond the threshold, which was higher before", Hysteresis{Status: Down, Rising: 7}, true, Hysteresis{Status: Up}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.from.Next(tt.ok, 2, 3); got != tt.want {
				t.Errorf("Next(%v) = %+v, want %+v", tt.ok, got, tt.want)
			}
		})
	}
}
