package realserver

import (
	"errors"
	"fmt"

	"github.com/haldir-lb/haldir/internal/netif"
)

// ForeignAddressError says that a VIP is on this host already and that this
// package did not put it there.
type ForeignAddressError struct {
	Want Address
	Has  netif.PresentAddress
}

func (e *ForeignAddressError) Error() string {
	vip := e.Want.Prefix.Addr()
	if byDirector(e.Has) {
		return fmt.Sprintf("%s is on %s as %s: this host holds it as a director, and answers for it; nothing was changed",
			vip, e.Has.Interface, e.Has.Prefix)
	}
	return fmt.Sprintf("%s is on %s already as %s, and haldir did not put it there; nothing was changed "+
		"(remedy: find out who did, then: ip address del %s dev %s)",
		vip, e.Has.Interface, e.Has.Prefix, e.Has.Prefix, e.Has.Interface)
}

// checkForeign refuses to share an address with somebody else.
func checkForeign(state State, present []netif.PresentAddress) error {
	var errs []error
	seen := map[netif.Address]bool{}
	for _, want := range state.Addresses {
		for _, has := range present {
			if has.Prefix.Addr() != want.Prefix.Addr() || has.Ours || seen[has.Address] {
				continue
			}
			seen[has.Address] = true
			errs = append(errs, &ForeignAddressError{Want: want, Has: has})
		}
	}
	return errors.Join(errs...)
}

// byDirector reports whether a director on this host holds the address.
func byDirector(p netif.PresentAddress) bool { return p.Proto == netif.Protocol && !p.Ours }
