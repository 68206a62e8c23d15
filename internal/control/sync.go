package control

// SyncStatus is how the directors tell one another their connections.
type SyncStatus struct {
	Interface string `json:"interface"`
	ID        uint8  `json:"id"`
	// Sends and Listens say whether the kernel's daemons run as configured; absent
	// if they could not be read.
	Sends   *bool `json:"sends,omitempty"`
	Listens *bool `json:"listens,omitempty"`
	// Connections counts those of the kernel's table; absent if they could not be
	// read.
	Connections *SyncConnections `json:"connections,omitempty"`
	// Others are what the other directors have, as they say themselves; one that says
	// nothing of it lately is absent.
	Others []SyncOther `json:"others,omitempty"`
	Error  string      `json:"error,omitempty"`
}

// SyncConnections counts connections by who saw their packets.
type SyncConnections struct {
	Own     int `json:"own"`     // seen by this director
	Learned int `json:"learned"` // told by another one
	// More is set where the count ended early, since the table is large.
	More bool `json:"more,omitempty"`
}

// SyncOther is what another director has of connections. What it has learned is
// complete where it comes to what this one has seen, but for connections of the
// last seconds and those that are not established yet.
type SyncOther struct {
	Node string       `json:"node"`
	Age  Milliseconds `json:"age_ms"` // since it counted
	SyncConnections
}
