package healthcheck

// Share is the part of its configured weight that a server asks for, through its
// agent or a script. The zero value asks for nothing: the weight as configured.
type Share struct {
	// Asked is set where the server said something about its weight.
	Asked bool `json:"asked"`
	// Percent of the configured weight, 0..MaxPercent; 0 takes no new connections.
	Percent int `json:"percent"`
}

// MaxPercent is the largest share that counts.
const MaxPercent = 1000

// Percent returns the share of n percent, at most MaxPercent; below 0 is 0.
func Percent(n int) Share { return Share{Asked: true, Percent: min(max(n, 0), MaxPercent)} }

// Of returns the share of a weight: rounded up, so that only 0 percent of it, or
// of nothing, is nothing, and at most 65535.
func (s Share) Of(weight uint32) uint32 {
	if !s.Asked {
		return weight
	}
	return uint32(min((uint64(weight)*uint64(min(max(s.Percent, 0), MaxPercent))+99)/100, 65535))
}
