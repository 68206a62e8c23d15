package control

import "time"

// CheckStatus is what one check says of a real server.
type CheckStatus struct {
	// Target names what is looked at. Services that look at the same thing in the
	// same way share it.
	Target string `json:"target"`
	Health string `json:"health"`
	// Stale is set while no checker has confirmed the judgement.
	Stale bool `json:"stale,omitempty"`
	// Since is when the health became so.
	Since time.Time `json:"since,omitzero"`
	// Checked is how long ago the last check ended; absent before the first.
	Checked *Milliseconds `json:"checked_ms_ago,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	Detail  string        `json:"detail,omitempty"`
	// Duration is how long the last check took.
	Duration Milliseconds `json:"duration_ms,omitempty"`
	Warning  bool         `json:"warning,omitempty"`
	// Rising and Falling count the consecutive successes or failures towards
	// another health.
	Rising  int `json:"rising,omitempty"`
	Falling int `json:"falling,omitempty"`
	// Flapping is how many successes bring the server back, where these are more
	// than configured, because it keeps falling.
	Flapping int `json:"flapping_rise,omitempty"`
	// Share is the percentage of its weight that the server asked for; absent if
	// it asked for nothing.
	Share *int `json:"share_percent,omitempty"`
}
