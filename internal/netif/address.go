package netif

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Protocol is the address protocol (IFA_PROTO) on every address that we add:
// 'H'. The kernel's own values are below 4.
const Protocol = 0x48

// Address is an address of an interface.
type Address struct {
	Interface string       `json:"interface"`
	Prefix    netip.Prefix `json:"prefix"` // the address itself with its prefix length, not masked
}

// String returns "192.0.2.1/24 on eth0".
func (a Address) String() string { return fmt.Sprintf("%s on %s", a.Prefix, a.Interface) }

// Attributes are what an address may have besides the interface's usual. The zero
// value is that.
type Attributes struct {
	Label     string     // of IPv4; empty is the interface's name
	Scope     string     // "global", "site", "link" or "host"; empty is what suits the interface
	Broadcast netip.Addr // of IPv4; the zero value is the last address of the network
	// NoRoute keeps the kernel from adding the route to the address's network.
	NoRoute bool
}

// PresentAddress is an address that the kernel has.
type PresentAddress struct {
	Address
	Ours  bool  `json:"ours"`  // tagged with Protocol, on one of Addresses.Interfaces
	Proto uint8 `json:"proto"` // the tag as read, 0 if there is none
}

// AddressError is what went wrong with one address.
type AddressError struct {
	Address Address
	Op      string // "adding" or "removing"
	Err     error
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("%s address %s: %v", e.Op, e.Address, e.Err)
}

// Unwrap returns the cause.
func (e *AddressError) Unwrap() error { return e.Err }

// AddressResult says what a Reconcile did and what it found afterwards.
type AddressResult struct {
	Added   []Address // by this call, and read back
	Removed []Address // by this call, and no longer there
	// Foreign are desired addresses that somebody else added. They serve as
	// they are; we never remove them.
	Foreign []Address
	Failed  []*AddressError
	Present []PresentAddress // everything the kernel had at the end, ours or not
}

// Err returns all failures as one error, nil if there are none.
func (r AddressResult) Err() error {
	var errs []error
	for _, e := range r.Failed {
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

// Addresses brings the addresses of this host in line with what is desired. It
// remembers nothing between calls. It must not be used by two goroutines at once.
type Addresses struct {
	// RemoveFirst takes away what is not desired before adding what is. The
	// default, adding first, is for planned changes.
	RemoveFirst bool
	// Interfaces limits what is ours to the interfaces for which it returns
	// true: on others, nothing is added or removed, whatever its tag. Two users
	// on one host, such as a director and a real server, must not overlap. Nil
	// means all interfaces.
	Interfaces func(name string) bool
	// Attributes are those of the desired addresses that have any. An address of
	// ours with others is taken away and added anew.
	Attributes map[Address]Attributes

	kernel addressKernel
}

// NewAddresses returns an Addresses for this process's network namespace.
func NewAddresses() *Addresses { return &Addresses{kernel: hostKernel()} }

// addressKernel is what Addresses needs from the kernel.
type addressKernel interface {
	read(ctx context.Context) (addressTable, error)
	// add fails with fs.ErrExist where the address is there already.
	add(link Link, prefix netip.Prefix, with Attributes) error
	// await returns when the kernel takes packets to an IPv6 address that was added,
	// or there is no hope of that.
	await(ctx context.Context, link Link, address netip.Addr)
	// remove fails with syscall.EADDRNOTAVAIL where the address is gone already.
	remove(held heldAddress) error
	// promote makes the kernel keep the secondary addresses of a primary one
	// that is removed from the interface, until undo is called. A crash in
	// between leaves that switched on, which takes nothing from anybody.
	promote(ifname string) (undo func() error, err error)
}

// addressTable is one complete reading.
type addressTable struct {
	links map[string]Link
	held  []heldAddress
	// attributes are those of the desired addresses.
	attributes map[Address]Attributes
	// elsewhere are interfaces on which nothing is ours.
	elsewhere map[string]bool
}

// heldAddress is a PresentAddress with what only this package looks at.
type heldAddress struct {
	PresentAddress
	index     int
	secondary bool         // IPv4: goes away together with its primary
	peer      netip.Prefix // of a point-to-point address
	has       Attributes   // as the kernel says
}

// Read lists all addresses of this host, ours or not.
func (a *Addresses) Read(ctx context.Context) ([]PresentAddress, error) {
	table, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	return table.present(), nil
}

func (a *Addresses) read(ctx context.Context) (addressTable, error) {
	table, err := a.kernel.read(ctx)
	if err != nil {
		return addressTable{}, fmt.Errorf("reading addresses: %w", err)
	}
	table.attributes = a.Attributes
	if a.Interfaces == nil {
		return table, nil
	}
	table.elsewhere = map[string]bool{}
	for name := range table.links {
		table.elsewhere[name] = !a.Interfaces(name)
	}
	for i, h := range table.held {
		table.held[i].Ours = h.Ours && !table.elsewhere[h.Interface]
	}
	return table, nil
}

func (t addressTable) present() []PresentAddress {
	list := make([]PresentAddress, 0, len(t.held))
	for _, h := range t.held {
		list = append(list, h.PresentAddress)
	}
	slices.SortStableFunc(list, func(a, b PresentAddress) int { return compareAddresses(a.Address, b.Address) })
	return list
}

func compareAddresses(a, b Address) int {
	return cmp.Or(
		cmp.Compare(a.Interface, b.Interface),
		a.Prefix.Addr().Compare(b.Prefix.Addr()),
		cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()),
	)
}

func sortedSet(addrs []Address) []Address {
	set := slices.SortedFunc(slices.Values(addrs), compareAddresses)
	return slices.Compact(set)
}

// ordered returns the links by index.
func (t addressTable) ordered() []Link {
	return slices.SortedFunc(maps.Values(t.links), func(a, b Link) int { return a.Index - b.Index })
}
