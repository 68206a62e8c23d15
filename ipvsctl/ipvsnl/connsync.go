package ipvsnl

import (
	"fmt"
	"net/netip"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// Attributes of a synchronisation daemon.
const (
	attrDaemon = 3

	daemonState     = 1 // u32: the role
	daemonInterface = 2 // NUL-terminated
	daemonID        = 3 // u32
	daemonMaxLen    = 4 // u16
	daemonGroup     = 5 // be32
	daemonGroup6    = 6 // 16 bytes
	daemonPort      = 7 // u16, in the machine's order
	daemonTTL       = 8 // u8
)

const (
	cmdNewDaemon = 9
	cmdDelDaemon = 10
	cmdGetDaemon = 11
)

// maxInterface is the longest name of an interface (IFNAMSIZ without its NUL).
const maxInterface = 15

// daemon appends the request for a daemon: all that can be set if full.
func (b *buffer) daemon(cmd uint8, d ipvsctl.SyncDaemon, full bool) error {
	if d.Interface == "" || len(d.Interface) > maxInterface {
		return fmt.Errorf("%w: %q is not the name of an interface", ipvsctl.ErrInvalid, d.Interface)
	}
	d = d.Canonical()
	b.header(cmd)
	defer b.nest(attrDaemon)()
	b.u32(daemonState, uint32(d.Role))
	if !full {
		return nil
	}
	b.text(daemonInterface, d.Interface)
	b.u32(daemonID, uint32(d.ID))
	if d.MaxLen != 0 {
		b.u16(daemonMaxLen, d.MaxLen)
	}
	if d.Group.Is4() {
		v4 := d.Group.As4()
		b.attr(daemonGroup, v4[:]...)
	} else {
		b.address(daemonGroup6, d.Group)
	}
	b.u16(daemonPort, d.Port)
	b.attr(daemonTTL, d.TTL)
	return nil
}

func decodeDaemon(message []byte) (ipvsctl.SyncDaemon, error) {
	var d ipvsctl.SyncDaemon
	inner, err := payload(message, attrDaemon, "sync daemon")
	if err != nil {
		return d, err
	}
	err = inner.each("sync daemon", func(typ uint16, v value) error {
		switch typ {
		case daemonState, daemonID:
			var n uint32
			if err := v.u32(&n); err != nil {
				return err
			}
			if n > 255 {
				return fmt.Errorf("%d is above 255", n)
			}
			if typ == daemonState {
				d.Role = ipvsctl.SyncRole(n)
			} else {
				d.ID = uint8(n)
			}
		case daemonInterface:
			return v.text(&d.Interface)
		case daemonMaxLen:
			return v.u16(&d.MaxLen)
		case daemonGroup:
			if err := v.need(4); err != nil {
				return err
			}
			d.Group = netip.AddrFrom4([4]byte(v))
		case daemonGroup6:
			if err := v.need(16); err != nil {
				return err
			}
			d.Group = netip.AddrFrom16([16]byte(v))
		case daemonPort:
			return v.u16(&d.Port)
		case daemonTTL:
			return v.u8(&d.TTL)
		}
		return nil
	})
	return d, err
}
