package director

import "time"

// rampSteps bounds how often the weight of one server changes in a slow start.
const rampSteps = 20

// rampScale is by how much weights are multiplied where servers start slowly, so
// that a weight of 1 has steps too. It is the same for all members at all times:
// the weight of one changes nothing about the others.
const rampScale = 100

const maxWeight = 65535

// ramp gives members that came up a growing part of their weight.
type ramp struct {
	length time.Duration // 0: none
	scale  uint32
}

func newRamp(length time.Duration, members []member) ramp {
	r := ramp{length: length, scale: 1}
	if length > 0 {
		r.scale = rampScale
		for _, m := range members {
			if m.weight > 0 {
				r.scale = min(r.scale, max(1, maxWeight/m.weight))
			}
		}
	}
	return r
}

// seat is that of a member which serves. Only a weight of 0 gives 0.
func (r ramp) seat(m member, now time.Time) Seat {
	full := m.share.Of(min(m.weight*r.scale, maxWeight))
	step := r.step(m, now)
	if step >= rampSteps {
		return Seat{In: true, Weight: full}
	}
	part := uint64(full) * uint64(step+1)
	return Seat{In: true, Weight: uint32((part + rampSteps - 1) / rampSteps), Full: full}
}

// step is how many steps of its ramp a member has made, up to rampSteps. A clock
// that went back ends no ramp late: a time to come counts as now.
func (r ramp) step(m member, now time.Time) int {
	if r.length == 0 || m.risen.IsZero() {
		return rampSteps
	}
	age := max(0, now.Sub(m.risen))
	if age >= r.length {
		return rampSteps
	}
	return int(age * rampSteps / r.length)
}

// next is when a member makes its next step.
func (r ramp) next(m member, now time.Time) time.Time {
	since := m.risen
	if since.After(now) {
		since = now
	}
	steps := time.Duration(r.step(m, now) + 1)
	return since.Add((steps*r.length + rampSteps - 1) / rampSteps)
}

// age is how long a member has been ramping that has the given part of its full
// weight, within one step.
func (r ramp) age(weight, full uint32) time.Duration {
	step := time.Duration(uint64(weight)*rampSteps/uint64(full)) - 1
	return max(0, (step*r.length+rampSteps-1)/rampSteps)
}
