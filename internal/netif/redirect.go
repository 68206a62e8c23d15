package netif

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
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

// Redirects is what the kernel has.
type Redirects struct {
	// Present says that the table is there.
	Present bool
	// Rules are the redirects that are in force, sorted.
	Rules []Redirect
	// Strange counts what else is in the table, and everything in it that is not
	// in force.
	Strange int
}

// Are reports whether these are exactly the wanted ones.
func (r Redirects) Are(want []Redirect) bool {
	if len(want) == 0 {
		return !r.Present
	}
	return r.Strange == 0 && slices.Equal(r.Rules, sortedRedirects(want))
}

func sortedRedirects(list []Redirect) []Redirect {
	return slices.Compact(slices.SortedFunc(slices.Values(list), Redirect.Compare))
}
