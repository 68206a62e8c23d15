package director

import (
	"context"
	"net/netip"
	"slices"

	"github.com/haldir-lb/haldir/internal/netif"
)

// setAddressesAndTable has both made as desired. What is lost goes first. An
// address that carries services comes after them: as soon as it is there, the
// kernel answers whoever asks for it, and would refuse the packets of every
// connection that it knows no service for.
func (a *applier) setAddressesAndTable(ctx context.Context, w work, out *Applied) {
	desired := w.desired.Addresses
	later := a.later(ctx, w.desired)
	first := slices.DeleteFunc(slices.Clone(desired), func(d netif.Address) bool { return slices.Contains(later, d) })
	out.Addresses, out.AddressErr = a.host.SetAddresses(ctx, first)
	out.Table, out.TableErr = a.setTable(ctx, w)
	out.MarkErr = a.setMarks(ctx, w.desired.Marks)
	if len(later) == 0 {
		return
	}
	before := out.Addresses
	out.Addresses, out.AddressErr = a.host.SetAddresses(ctx, desired)
	out.Addresses.Added = append(before.Added, out.Addresses.Added...)
	out.Addresses.Removed = append(before.Removed, out.Addresses.Removed...)
}

// later lists the desired addresses that carry services and are not there yet.
func (a *applier) later(ctx context.Context, d Desired) []netif.Address {
	missing := func(present []netif.PresentAddress) []netif.Address {
		there := make(map[netif.Address]bool, len(present))
		for _, p := range present {
			there[p.Address] = true
		}
		list := slices.DeleteFunc(slices.Clone(d.Addresses), func(a netif.Address) bool { return there[a] })
		if len(list) == 0 {
			return nil
		}
		carries := make(map[netip.Addr]bool)
		for _, s := range d.Table {
			carries[s.Key.Address] = true
		}
		return slices.DeleteFunc(list, func(a netif.Address) bool {
			return !carries[a.Prefix.Addr()] && !marked(d.Marks, a.Prefix.Addr())
		})
	}
	if len(missing(a.outcome().Addresses.Present)) == 0 {
		return nil
	}
	// What the last application saw may be old, and the first one saw nothing.
	present, err := a.host.Addresses(ctx)
	if err != nil {
		return nil
	}
	return missing(present)
}
