package netif

import "net"

// Link is a network interface as the kernel describes it.
type Link struct {
	Name  string
	Index int
	// Up is the administrative state.
	Up bool
	// Carrier means that the lower layer is up and the operational state is up,
	// or unknown as on interfaces that do not report it.
	Carrier  bool
	Loopback bool
	NoARP    bool
	MAC      net.HardwareAddr
	MTU      int    // bytes
	Master   int    // index of the bridge, bond or VRF that it belongs to, 0 if none
	Parent   int    // index of the interface below it, 0 if none
	Type     string // as `ip -d link` names it: "device", "veth", "bridge", "ipip"...
	Virtual  bool   // made by us, see VirtualLink
}

// Running reports whether frames can pass: administratively up, with carrier.
func (l Link) Running() bool { return l.Up && l.Carrier }
