package facts

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/haldir-lb/haldir/internal/firewall"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// Host is one reading of this host. A nil slice or map was not read where
// Unknown names it, and is empty otherwise.
type Host struct {
	Links     []netif.Link
	Addresses []Address
	// Routes are the default routes of the main table, the preferred one first.
	Routes []netif.Route
	// Ways are the routes to the addresses that Wants asked about. One to which
	// there is no route is absent.
	Ways       map[netip.Addr]netif.Route
	Neighbours []Neighbour
	// Sysctls has the values below /proc/sys/net that matter to a director or a
	// real server, by path: "net/ipv4/conf/all/arp_ignore". What the kernel does
	// not have is absent.
	Sysctls   map[string]string
	Modules   map[string]netif.ModuleState // those that ReadModules looked up
	Listeners []Listener
	// Table is what IPVS holds; HasIPVS says whether the kernel offers it.
	Table   ipvsctl.LiveTable
	HasIPVS bool
	// SyncDaemons are those of the kernel that synchronise connections; nil if they
	// were not read.
	SyncDaemons []ipvsctl.SyncDaemon
	// Rivals are programs that do what a director does, in this network namespace:
	// their names, sorted.
	Rivals []string
	// Kernel is the release of the kernel, such as "6.1.0-18-amd64".
	Kernel   string
	Managers Managers
	Firewall *firewall.Ruleset // nil: not read
	// Clamps are what haldir lets clients of the real server send.
	Clamps  netif.Clamps
	Unknown []Unknown
}

// Unknown is a part that could not be read.
type Unknown struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// Address is an address of this host.
type Address struct {
	netif.PresentAddress
	Scope string // "global", "link", "host", "site" or a number
	// Refused: duplicate address detection found another owner, so that the kernel
	// does not use it (RFC 4862, section 5.4).
	Refused bool
}

// Neighbour is an entry of the kernel's neighbour table that has a MAC.
type Neighbour struct {
	Interface string
	Address   netip.Addr
	MAC       net.HardwareAddr
}

// Listener is a socket that waits for connections or datagrams.
type Listener struct {
	Protocol string // "tcp" or "udp"
	// At is the address and port; the unspecified address is every one of its
	// family, and :: every IPv4 one too unless the program said otherwise, which
	// the kernel does not tell.
	At netip.AddrPort
}

// Managers are programs that configure the network and may undo what others set.
type Managers struct {
	// Networkd has, by interface that systemd-networkd has configured, the
	// setting KeepConfiguration= of its .network file; empty is the default.
	Networkd map[string]string
	// NetworkManager lists the interfaces that it manages.
	NetworkManager []string
}

// Clock is the state of the system clock.
type Clock struct {
	Synchronised bool
	// Error is the kernel's bound of the error.
	Error time.Duration
}

// Link finds an interface by name.
func (h *Host) Link(name string) (netif.Link, bool) {
	i := slices.IndexFunc(h.Links, func(l netif.Link) bool { return l.Name == name })
	if i < 0 {
		return netif.Link{}, false
	}
	return h.Links[i], true
}

// Has returns every entry of an address, on any interface.
func (h *Host) Has(addr netip.Addr) []Address {
	var found []Address
	for _, a := range h.Addresses {
		if a.Prefix.Addr() == addr {
			found = append(found, a)
		}
	}
	return found
}

// Conf returns the number in net/FAMILY/conf/NAME/KEY; false if it was not read.
func (h *Host) Conf(family, name, key string) (int, bool) {
	return h.Number("net/" + family + "/conf/" + name + "/" + key)
}

// Number returns a sysctl that is one number; false if it was not read.
func (h *Host) Number(path string) (int, bool) {
	n, err := strconv.Atoi(h.Sysctls[path])
	return n, err == nil
}

// Larger returns what the kernel uses of those IPv4 settings for which the larger
// of all and the interface counts: arp_ignore, arp_announce, rp_filter.
func (h *Host) Larger(name, key string) (int, bool) {
	all, ok := h.Conf("ipv4", "all", key)
	own, okOwn := h.Conf("ipv4", name, key)
	return max(all, own), ok && okOwn
}

// MACOf returns the MAC that the neighbour table has of an address.
func (h *Host) MACOf(addr netip.Addr) net.HardwareAddr {
	for _, n := range h.Neighbours {
		if n.Address == addr {
			return n.MAC
		}
	}
	return nil
}
