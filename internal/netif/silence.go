package netif

import (
	"fmt"
	"net/netip"
)

// SilenceTable is the name of the nftables table, of family arp, that holds the
// silences.
const SilenceTable = "haldir_realserver"

// Silence drops every ARP packet by which the kernel would name an address as its
// own: whatever arp_ignore and arp_announce are, and wherever the address is. What
// programs send by packet sockets passes.
type Silence struct {
	Address netip.Addr `json:"address"` // of IPv4
}

func (s Silence) String() string { return fmt.Sprintf("about %s", s.Address) }

// Compare orders silences.
func (s Silence) Compare(other Silence) int { return s.Address.Compare(other.Address) }

// Silences are those that the kernel has.
type Silences = Rules[Silence]
