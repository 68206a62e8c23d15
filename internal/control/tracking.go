package control

import "time"

// TrackerStatus is one thing that a virtual router depends on.
type TrackerStatus struct {
	Name  string `json:"name"`
	State string `json:"state"` // up, down, unknown
	// Since is when the state became so; absent if that is not known.
	Since time.Time `json:"since,omitzero"`
	// Checked is how long ago the last check ended; absent where nothing is
	// checked, as of links and pools, or before the first.
	Checked *Milliseconds `json:"checked_ms_ago,omitempty"`
	// Stale is set while no checker has confirmed the judgement.
	Stale bool `json:"stale,omitempty"`
	// Reason and Detail are those of the last check.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Warning is set where the last check could not be made.
	Warning bool `json:"warning,omitempty"`
	// Weight is the configured one; 0 without.
	Weight int `json:"weight,omitempty"`
	// Effect is what the tracker does now: "not eligible", a change of the priority
	// such as "-60", or nothing.
	Effect string `json:"effect,omitempty"`
}

// NotifyStatus is what was last told of a router or a group, and how that went.
type NotifyStatus struct {
	State string    `json:"state"`
	At    time.Time `json:"at"`
	// Took is absent while it goes on.
	Took    *Milliseconds `json:"took_ms,omitempty"`
	Problem string        `json:"problem,omitempty"`
	// Again is when it is tried again; absent if it is not.
	Again time.Time `json:"again,omitzero"`
}

// GroupStatus is one sync group.
type GroupStatus struct {
	Name    string   `json:"name"`
	Members []string `json:"members"`
	// Notified is absent as long as nobody was told anything.
	Notified *NotifyStatus `json:"notified,omitempty"`
}
