package control

// SyncStatus is how the directors tell one another their connections.
type SyncStatus struct {
	Interface string `json:"interface"`
	ID        uint8  `json:"id"`
	// Sends and Listens say whether the kernel's daemons run as configured; absent
	// if they could not be read.
	Sends   *bool  `json:"sends,omitempty"`
	Listens *bool  `json:"listens,omitempty"`
	Error   string `json:"error,omitempty"`
}
