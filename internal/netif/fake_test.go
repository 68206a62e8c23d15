package netif

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"syscall"
	"testing"
)

// fakeKernel behaves as Linux does with addresses, as far as Reconcile can see.
type fakeKernel struct {
	links map[string]Link
	held  []heldAddress
	// untagged: the kernel does not know IFA_PROTO.
	untagged bool
	// noPromote: /proc/sys cannot be written.
	noPromote bool
	refuse    map[Address]error
	// intrude is called before each reading.
	intrude  func(*fakeKernel)
	promoted bool
	ops      []string
}

func newFakeKernel(names ...string) *fakeKernel {
	k := &fakeKernel{links: map[string]Link{}}
	for i, name := range names {
		k.links[name] = Link{Name: name, Index: i + 1}
	}
	return k
}

func (k *fakeKernel) read(context.Context) (addressTable, error) {
	if k.intrude != nil {
		k.intrude(k)
	}
	return addressTable{links: k.links, held: slices.Clone(k.held)}, nil
}

func (k *fakeKernel) add(link Link, prefix netip.Prefix, with Attributes) error {
	addr := Address{link.Name, prefix}
	k.ops = append(k.ops, "add "+addr.String())
	if err := k.refuse[addr]; err != nil {
		return err
	}
	proto := uint8(Protocol)
	if k.untagged {
		proto = 0
	}
	err := k.put(addr, proto)
	if i := slices.IndexFunc(k.held, func(h heldAddress) bool { return h.Address == addr }); err == nil {
		with.Label = cmp.Or(with.Label, link.Name)
		k.held[i].has = with
	}
	return err
}

// put adds an address with any tag.
func (k *fakeKernel) put(addr Address, proto uint8) error {
	index := k.links[addr.Interface].Index
	if slices.ContainsFunc(k.held, func(h heldAddress) bool { return h.Address == addr }) {
		return fs.ErrExist
	}
	k.held = append(k.held, heldAddress{
		PresentAddress: PresentAddress{Address: addr, Proto: proto, Ours: proto == Protocol},
		index:          index,
		secondary:      addr.Prefix.Addr().Is4() && k.primary(index, addr.Prefix) >= 0,
	})
	return nil
}

func (k *fakeKernel) primary(index int, prefix netip.Prefix) int {
	return slices.IndexFunc(k.held, func(h heldAddress) bool {
		return h.index == index && !h.secondary && h.Prefix.Masked() == prefix.Masked()
	})
}

func (k *fakeKernel) await(_ context.Context, link Link, address netip.Addr) {
	k.ops = append(k.ops, fmt.Sprintf("await %s on %s", address, link.Name))
}

func (k *fakeKernel) remove(held heldAddress) error {
	k.ops = append(k.ops, "remove "+held.Address.String())
	if err := k.refuse[held.Address]; err != nil {
		return err
	}
	i := slices.IndexFunc(k.held, func(h heldAddress) bool { return h.Address == held.Address })
	if i < 0 {
		return syscall.EADDRNOTAVAIL
	}
	gone := k.held[i]
	k.held = slices.Delete(k.held, i, i+1)
	if gone.secondary || gone.Prefix.Addr().Is6() {
		return nil
	}
	follows := func(h heldAddress) bool {
		return h.secondary && h.index == gone.index && h.Prefix.Masked() == gone.Prefix.Masked()
	}
	if !k.promoted {
		k.held = slices.DeleteFunc(k.held, follows)
	} else if heir := slices.IndexFunc(k.held, follows); heir >= 0 {
		k.held[heir].secondary = false
	}
	return nil
}

func (k *fakeKernel) promote(string) (func() error, error) {
	if k.noPromote {
		return nil, fmt.Errorf("switching: %w", syscall.EROFS)
	}
	k.promoted = true
	return func() error { k.promoted = false; return nil }, nil
}

func address(ifname, prefix string) Address { return Address{ifname, netip.MustParsePrefix(prefix)} }

func reconcile(t *testing.T, k *fakeKernel, desired ...Address) AddressResult {
	t.Helper()
	result, err := (&Addresses{kernel: k}).Reconcile(t.Context(), desired)
	if err != nil {
		t.Fatalf("Reconcile: %v", err)
	}
	return result
}
