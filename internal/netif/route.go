package netif

import "net/netip"

// Route is one way that packets take.
type Route struct {
	Gateway   netip.Addr `json:"gateway"` // the zero value if the destination is on the link
	Interface string     `json:"interface"`
	Source    netip.Addr `json:"source"`        // preferred; the zero value if none is set
	Metric    int        `json:"metric"`        // the lower one wins
	MTU       int        `json:"mtu,omitempty"` // of this route, 0 if none is set
	MSS       int        `json:"mss,omitempty"` // advertised to TCP peers, 0 if none is set
	Local     bool       `json:"local"`         // the destination is this host itself
}
