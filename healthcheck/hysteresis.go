package healthcheck

// Hysteresis is the memory that turns single successes and failures into a
// status. The zero value, and any status it does not know, is Unknown.
type Hysteresis struct {
	Status Status
	// Rising counts consecutive successes while Down, Falling consecutive
	// failures while Up or Unknown. At most one of them is not zero.
	Rising, Falling int
}

// Next returns the memory after one more check that succeeded or failed.
//
// A target that was never judged is up at its first success. It goes down at
// the fall'th consecutive failure and, once down, comes up at the rise'th
// consecutive success. Both counts are taken as at least 1.
func (h Hysteresis) Next(ok bool, rise, fall int) Hysteresis {
	switch {
	case ok && h.Status == Down:
		if h.Rising+1 < rise {
			return Hysteresis{Status: Down, Rising: h.Rising + 1}
		}
		return Hysteresis{Status: Up}
	case ok:
		return Hysteresis{Status: Up}
	case h.Status == Down:
		return Hysteresis{Status: Down}
	case h.Falling+1 < fall:
		h.Rising = 0
		h.Falling++
		if h.Status != Up {
			h.Status = Unknown
		}
		return h
	default:
		return Hysteresis{Status: Down}
	}
}
