package netif

// The devices that take packets out of their wrapping, from any sender. Each comes
// with its kernel module.
const (
	DeviceIPIP = "tunl0" // IP in IP, and IP in IP in GUE
	DeviceGRE  = "gre0"
)

// Tunnel is the state of a tunnel device, as RestoreTunnel brings it back.
type Tunnel struct {
	Name   string `json:"name"`
	Exists bool   `json:"exists"`
	Up     bool   `json:"up"` // administratively
}
