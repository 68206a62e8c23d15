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
	return fmt.Sprintf("%s is on %s already as %s, and haldir did not put it there; nothing was changed "+
		"(remedy: find out who did, then: ip address del %s dev %s)",
		vip, e.Has.Interface, e.Has.Prefix, e.Has.Prefix, e.Has.Interface)
}

// checkForeign refuses to share an address with somebody else. The director of
// this host is nobody else: while it is the master it holds the VIP on an interface,
// answers for it there, and takes the address away as it loses the role. What is on
// Loopback stays throughout, unseen, so neither waits for the other.
func checkForeign(state State, present []netif.PresentAddress) error {
	var errs []error
	seen := map[netif.Address]bool{}
	for _, want := range state.Addresses {
		for _, has := range present {
			if has.Prefix.Addr() != want.Prefix.Addr() || has.Ours || byDirector(has) || seen[has.Address] {
				continue
			}
			seen[has.Address] = true
			errs = append(errs, &ForeignAddressError{Want: want, Has: has})
		}
	}
	return errors.Join(errs...)
}

// byDirector reports whether a director on this host put the address there.
func byDirector(p netif.PresentAddress) bool { return p.Proto == netif.Protocol && !p.Ours }
