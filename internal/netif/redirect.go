package netif

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
)

// RedirectTable is the name of the nftables table, of family inet, that holds the
// redirects and nothing else.
const RedirectTable = "haldir_realserver"

// Redirect has this host take what is sent to an address that it need not hold: the
// packets go on to a port of the address of the interface that they came in by,
// and the answers come from where the packets were sent to. While that interface
// holds the address, the redirect does nothing.
type Redirect struct {
	Protocol string     `json:"protocol"` // tcp, udp or sctp
	Address  netip.Addr `json:"address"`
	Port     uint16     `json:"port"`
	To       uint16     `json:"to"`
}

// String returns "tcp 192.0.2.100:80 to port 8080".
func (r Redirect) String() string {
	return fmt.Sprintf("%s %s to port %d", r.Protocol, netip.AddrPortFrom(r.Address, r.Port), r.To)
}

// Compare orders redirects.
func (r Redirect) Compare(other Redirect) int {
	return cmp.Or(strings.Compare(r.Protocol, other.Protocol), r.Address.Compare(other.Address),
		cmp.Compare(r.Port, other.Port), cmp.Compare(r.To, other.To))
}

// Redirects are those that the kernel has.
type Redirects = Rules[Redirect]

func sortedRedirects(list []Redirect) []Redirect { return sortedRules(list) }
