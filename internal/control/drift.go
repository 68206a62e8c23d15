package control

// DriftStatus is the last time that another program had changed haldir's part of
// the IPVS table. It was undone.
type DriftStatus struct {
	Age   Milliseconds `json:"ms_ago"`
	Times int          `json:"times"` // since the director started
	// Repairs are the first operations that undid it, of so many.
	Repairs    []string `json:"repairs"`
	Operations int      `json:"operations"`
}
