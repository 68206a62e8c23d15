package netif

import "net/netip"

// The devices that take packets out of their wrapping, from any sender. Each comes
// with its kernel module. What is in GUE is in one of the others as well.
const (
	DeviceIPIP   = "tunl0"   // IPv4 in IPv4
	DeviceSIT    = "sit0"    // IPv6 in IPv4
	DeviceIP6    = "ip6tnl0" // either in IPv6
	DeviceGRE    = "gre0"    // either by GRE over IPv4
	DeviceIP6GRE = "ip6gre0" // either by GRE over IPv6
)

// TunnelDevices lists them, sorted.
func TunnelDevices() []string {
	return []string{DeviceGRE, DeviceIP6GRE, DeviceIP6, DeviceSIT, DeviceIPIP}
}

// Tunnel is the state of a tunnel device, as RestoreTunnel brings it back.
type Tunnel struct {
	Name   string `json:"name"`
	Exists bool   `json:"exists"`
	Up     bool   `json:"up"`  // administratively
	MTU    int    `json:"mtu"` // bytes
	// Inside is the protocol that DeviceIP6 takes out: 41 is IPv6, as the module
	// has it, 4 is IPv4, 0 both. Others have no choice, and 0.
	Inside uint8 `json:"inside,omitempty"`
}

// v4compatible are the addresses that the kernel gives to DeviceSIT for each
// IPv4 address of the host (RFC 4291, section 2.5.5.1).
var v4compatible = netip.MustParsePrefix("::/96")

// ByKernel reports whether the kernel gives an address to a tunnel by itself, and
// takes it away with the device's being down.
func ByKernel(a Address) bool {
	addr := a.Prefix.Addr()
	return addr.IsLinkLocalUnicast() || a.Interface == DeviceSIT && v4compatible.Contains(addr)
}
