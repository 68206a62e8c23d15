package netif

import (
	"cmp"
	"fmt"
	"net/netip"
)

// ClampTable is the name of the nftables table, of family inet, that holds the
// clamps.
const ClampTable = "haldir_mss"

// Clamp lowers the segment size that TCP connections from an address are opened
// with, so that the peer sends nothing larger; a smaller one stays.
type Clamp struct {
	Address netip.Addr `json:"address"`
	Port    uint16     `json:"port"` // 0 is all
	MSS     uint16     `json:"mss"`  // bytes
}

// String returns "192.0.2.100:80 to 1440".
func (c Clamp) String() string {
	return fmt.Sprintf("%s to %d", netip.AddrPortFrom(c.Address, c.Port), c.MSS)
}

// Compare orders clamps.
func (c Clamp) Compare(other Clamp) int {
	return cmp.Or(c.Address.Compare(other.Address), cmp.Compare(c.Port, other.Port), cmp.Compare(c.MSS, other.MSS))
}

// Clamps are those that the kernel has.
type Clamps = Rules[Clamp]
