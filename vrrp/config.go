package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// MaxAddresses is how many addresses an advert can list (RFC 9568, section 5.2.5).
const MaxAddresses = 255

// RouterConfig describes one virtual router on one interface.
type RouterConfig struct {
	// Name identifies the router within the node. A router that keeps its name,
	// interface and VRID is reconfigured without losing its state.
	Name      string `json:"name"`
	Interface string `json:"interface"`
	VRID      uint8  `json:"vrid"` // 1..255
	// Via is an interface with the virtual router's MAC address. What a master sends
	// to the group goes out by it while it is up, and by Interface otherwise. It shall
	// be up while this node answers for the addresses: then the first advert of a
	// master, before it does, moves no switch's table. Empty: always by Interface.
	Via string `json:"via,omitempty"`
	// Priority is the effective priority, 1..255; 255 is the address owner.
	Priority uint8 `json:"priority"`
	// Group makes all routers of this name move as one, see [SyncGroup]; the first of
	// them by Name leads. Empty: this router moves alone.
	Group string `json:"group,omitempty"`
	// Version is that of VRRP: 3, or 2 over IPv4 for peers that know no other. 0: 3.
	Version uint8 `json:"version,omitempty"`
	// Checksum is the form that version 3 over IPv4 sends; both are accepted.
	// Empty: ChecksumRFC5798.
	Checksum Checksum `json:"checksum,omitempty"`
	// Authentication is the simple-text password of version 2, at most 8 octets.
	// Everybody on the link can read it. Empty: no authentication.
	Authentication string `json:"authentication,omitempty"`
	// Interval is Advertisement_Interval: 10 ms..40.95 s, a multiple of 10 ms; in
	// version 2 1..255 s, a multiple of 1 s.
	Interval time.Duration `json:"interval"`
	// Preempt is Preempt_Mode: take over from a master of lower priority.
	Preempt bool `json:"preempt"`
	// Ineligible, where it is not empty, says why the router must not be master. It
	// then hands over if it is, and takes no part until this is empty again.
	Ineligible Reason `json:"ineligible,omitempty"`
	// PreemptDelay is how long a master of lower priority is left alone, counted
	// from its first advert. 0: not at all. Without Preempt it has no meaning.
	PreemptDelay time.Duration `json:"preempt_delay"`
	// Addresses are the virtual addresses, 1..255 of one family, in the order
	// sent; of IPv6 a link-local one is sent first. Their family is the router's:
	// the routers of one VRID over IPv4 and IPv6 are two.
	Addresses []netip.Addr `json:"addresses"`
	// Peers makes the router unicast: adverts go to each of these addresses and
	// are accepted from no other sender, and multicast ones are ignored. They are
	// the peers' primary addresses, of the router's family; over IPv6 link-local
	// ones, since that is what adverts come from. The own address may be among
	// them and is skipped, so that all nodes can have the same list. None:
	// multicast.
	Peers []netip.Addr `json:"peers,omitempty"`
	// MinTTL is the lowest TTL or hop limit that is accepted from a peer. Peers
	// send 255 and each hop takes one, so 255 means on this link only. 0: any.
	MinTTL uint8 `json:"min_ttl,omitempty"`
}

// Family returns the family of the addresses, and so of the adverts; IPv4 if
// there are none.
func (c *RouterConfig) Family() Family {
	if len(c.Addresses) > 0 {
		return FamilyOf(c.Addresses[0])
	}
	return IPv4
}

// Validate returns what makes the configuration unusable, all of it joined.
func (c *RouterConfig) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Name == "" {
		bad("a virtual router needs a name")
	}
	if c.Interface == "" {
		bad("virtual router %q: an interface is needed", c.Name)
	}
	if c.VRID == 0 {
		bad("virtual router %q: VRID 0: must be 1..255", c.Name)
	}
	if c.Priority == 0 {
		bad("virtual router %q: priority 0: must be 1..255", c.Name)
	}
	if _, err := effectiveVersion(c.Version, c.Family()); err != nil {
		bad("virtual router %q: %w", c.Name, err)
	} else if err := checkInterval(c.version(), c.Interval); err != nil {
		bad("virtual router %q: %w", c.Name, err)
	}
	if err := checkAuthentication(c.version(), c.Authentication); err != nil {
		bad("virtual router %q: %w", c.Name, err)
	}
	switch {
	case c.Checksum == "":
	case c.Checksum != ChecksumRFC5798 && c.Checksum != ChecksumRFC9568:
		bad("virtual router %q: checksum %q: must be %q or %q", c.Name, c.Checksum, ChecksumRFC5798, ChecksumRFC9568)
	case c.version() != 3 || c.Family() != IPv4:
		bad("virtual router %q: checksum %q: there is a choice in version 3 over IPv4 alone", c.Name, c.Checksum)
	}
	if c.PreemptDelay < 0 {
		bad("virtual router %q: preempt delay %v: must not be negative", c.Name, c.PreemptDelay)
	}
	if n := len(c.Addresses); n == 0 || n > MaxAddresses {
		bad("virtual router %q: %d addresses: must be 1..%d", c.Name, n, MaxAddresses)
	}
	for _, a := range c.Addresses {
		switch {
		case !plain(a):
			bad("virtual router %q: address %v: must be an IPv4 or IPv6 address without zone", c.Name, a)
		case FamilyOf(a) != c.Family():
			bad("virtual router %q: address %v: must be %v like the first one", c.Name, a, c.Family())
		}
	}
	for _, a := range c.Peers {
		switch {
		case !plain(a) || FamilyOf(a) != c.Family():
			bad("virtual router %q: peer %v: must be an %v address", c.Name, a, c.Family())
		case a.IsUnspecified() || a.IsMulticast():
			bad("virtual router %q: peer %v: must be the address of one host", c.Name, a)
		case a.Is6() && !a.IsLinkLocalUnicast():
			bad("virtual router %q: peer %v: must be link-local, as adverts come from link-local addresses", c.Name, a)
		case slices.Contains(c.Addresses, a):
			bad("virtual router %q: peer %v: is a virtual address of this router", c.Name, a)
		}
	}
	if c.MinTTL > 0 && len(c.Peers) == 0 {
		bad("virtual router %q: minimum TTL %d: is of unicast peers, and there are none", c.Name, c.MinTTL)
	}
	return errors.Join(errs...)
}

// Warnings returns what works, but not as the user may expect.
func (c *RouterConfig) Warnings() []string {
	var warnings []string
	if c.Family() == IPv6 && !slices.ContainsFunc(c.Addresses, netip.Addr.IsLinkLocalUnicast) {
		warnings = append(warnings, "no link-local virtual address: hosts cannot use this virtual router as their default router")
	}
	if c.Authentication != "" {
		warnings = append(warnings, "simple-text authentication keeps out mistakes, not attackers: everybody on the link can read it")
	}
	return warnings
}

// advertised returns the addresses in the order of an advert. "For IPv6, the first
// address MUST be the IPv6 link-local address associated with the Virtual Router"
// (RFC 9568, section 5.2.9).
func (c *RouterConfig) advertised() []netip.Addr {
	i := slices.IndexFunc(c.Addresses, netip.Addr.IsLinkLocalUnicast)
	if c.Family() == IPv4 || i <= 0 {
		return c.Addresses
	}
	list := append([]netip.Addr{c.Addresses[i]}, c.Addresses[:i]...)
	return append(list, c.Addresses[i+1:]...)
}

// equal reports whether both describe the same router in the same way.
func (c *RouterConfig) equal(d *RouterConfig) bool {
	return c.sameRouter(d) && c.Priority == d.Priority && c.Interval == d.Interval &&
		c.Ineligible == d.Ineligible && c.Preempt == d.Preempt && c.PreemptDelay == d.PreemptDelay && slices.Equal(c.Addresses, d.Addresses) &&
		slices.Equal(c.Peers, d.Peers) && c.MinTTL == d.MinTTL && c.Group == d.Group && c.Via == d.Via && c.sameForm(d)
}

// sameRouter reports whether d is c, possibly with other parameters.
func (c *RouterConfig) sameRouter(d *RouterConfig) bool {
	return c.Name == d.Name && c.Interface == d.Interface && c.VRID == d.VRID && c.Family() == d.Family()
}

// sameAdvert reports whether the adverts of c and d are the same octets to the same
// destinations.
func (c *RouterConfig) sameAdvert(d *RouterConfig) bool {
	return c.VRID == d.VRID && c.Priority == d.Priority && c.Interval == d.Interval &&
		slices.Equal(c.Addresses, d.Addresses) && slices.Equal(c.Peers, d.Peers) && c.sameForm(d)
}

// sameForm reports whether both speak the same version in the same way.
func (c *RouterConfig) sameForm(d *RouterConfig) bool {
	return c.Version == d.Version && c.Checksum == d.Checksum && c.Authentication == d.Authentication
}
