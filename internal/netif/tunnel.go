package netif

// Tunnel is the state of a tunnel device, as RestoreIPIP brings it back.
type Tunnel struct {
	Name   string `json:"name"`
	Exists bool   `json:"exists"`
	Up     bool   `json:"up"` // administratively
}
