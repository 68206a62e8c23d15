package healthcheck

import (
	"math"
	"time"
)

const (
	// flapHalfLife is how long it takes to forget half of what is remembered.
	flapHalfLife = 5 * time.Minute
	// flapPatience is up to where a memory changes nothing: two falls, or three
	// with some minutes between them.
	flapPatience = 2.5
	// flapLimit bounds how often Rise is doubled.
	flapLimit = 3
)

// Flaps remembers how often a target fell from up to down. Each fall adds one,
// and half is forgotten every five minutes. The zero value remembers nothing.
type Flaps struct {
	Level float64   `json:"level,omitempty"`
	At    time.Time `json:"at,omitzero"` // when Level was that
}

// at returns what is left of the memory at now.
func (f Flaps) at(now time.Time) float64 {
	if f.Level <= 0 {
		return 0
	}
	return f.Level * math.Exp2(-max(0, now.Sub(f.At).Seconds())/flapHalfLife.Seconds())
}

// Fell returns the memory after one more fall at now.
func (f Flaps) Fell(now time.Time) Flaps { return Flaps{Level: f.at(now) + 1, At: now} }

// Rise returns how many successes a target needs to come back up, which is rise
// unless it flaps: then twice, four or eight times as many.
func (f Flaps) Rise(now time.Time, rise int) int {
	over := f.at(now) - flapPatience
	if over < 0 {
		return rise
	}
	return rise << min(int(over)+1, flapLimit)
}
