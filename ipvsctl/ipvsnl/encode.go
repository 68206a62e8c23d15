package ipvsnl

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// nested marks an attribute that holds attributes.
const nested = 1 << 15

// buffer collects attributes. One buffer holds the requests of a whole batch:
// with an encoder that allocates for each attribute, encoding costs more than
// the kernel's own work on a request. For the same reason each attribute of a
// fixed length, with the bytes that fill it up to a multiple of four, is appended
// at once.
type buffer []byte

func (b *buffer) attr(typ uint16, data ...byte) {
	var d [4]byte
	attrHead(d[:], 4+len(data), typ)
	*b = append(append(*b, d[:]...), data...)
	for len(*b)%4 != 0 {
		*b = append(*b, 0)
	}
}

func attrHead(d []byte, length int, typ uint16) {
	binary.NativeEndian.PutUint16(d, uint16(length))
	binary.NativeEndian.PutUint16(d[2:], typ)
}

func (b *buffer) u16(typ, v uint16) {
	var d [8]byte
	attrHead(d[:], 6, typ)
	binary.NativeEndian.PutUint16(d[4:], v)
	*b = append(*b, d[:]...)
}

func (b *buffer) be16(typ, v uint16) {
	var d [8]byte
	attrHead(d[:], 6, typ)
	binary.BigEndian.PutUint16(d[4:], v)
	*b = append(*b, d[:]...)
}

func (b *buffer) u32(typ uint16, v uint32) {
	var d [8]byte
	attrHead(d[:], 8, typ)
	binary.NativeEndian.PutUint32(d[4:], v)
	*b = append(*b, d[:]...)
}

// u32s writes two numbers in one attribute.
func (b *buffer) u32s(typ uint16, v, w uint32) {
	var d [12]byte
	attrHead(d[:], 12, typ)
	binary.NativeEndian.PutUint32(d[4:], v)
	binary.NativeEndian.PutUint32(d[8:], w)
	*b = append(*b, d[:]...)
}

func (b *buffer) text(typ uint16, s string) {
	var d [4]byte
	attrHead(d[:], 4+len(s)+1, typ)
	*b = append(append(*b, d[:]...), s...)
	*b = append(*b, "\x00\x00\x00\x00"[:4-len(s)%4]...)
}

// address writes 16 bytes, which every kernel takes for both families.
func (b *buffer) address(typ uint16, a netip.Addr) {
	var d [20]byte
	attrHead(d[:], 20, typ)
	if a.Is4() {
		v4 := a.As4()
		copy(d[4:], v4[:])
	} else {
		v6 := a.As16()
		copy(d[4:], v6[:])
	}
	*b = append(*b, d[:]...)
}

// nest is open, and returns close.
func (b *buffer) nest(typ uint16) (end func()) {
	start := b.open(typ)
	return func() { b.close(start) }
}

// open begins an attribute that holds others, until it is closed.
func (b *buffer) open(typ uint16) (start int) {
	var d [4]byte
	attrHead(d[:], 0, typ|nested)
	*b = append(*b, d[:]...)
	return len(*b) - len(d)
}

func (b *buffer) close(start int) {
	binary.NativeEndian.PutUint16((*b)[start:], uint16(len(*b)-start))
}

// header starts a request: it must be at a multiple of four.
func (b *buffer) header(cmd uint8) {
	*b = append(*b, cmd, familyVersion, 0, 0)
}

// commands tells how each operation is asked for.
var commands = [...]uint8{
	ipvsctl.AddService:    cmdNewService,
	ipvsctl.UpdateService: cmdSetService,
	ipvsctl.DeleteService: cmdDelService,
	ipvsctl.AddDest:       cmdNewDest,
	ipvsctl.UpdateDest:    cmdSetDest,
	ipvsctl.DeleteDest:    cmdDelDest,
}

// op appends the request for an operation. Where it returns an error, nothing
// was appended.
func (b *buffer) op(op *ipvsctl.Op) error {
	if op.Kind < ipvsctl.AddService || int(op.Kind) >= len(commands) {
		return fmt.Errorf("%w: unknown kind of operation %d", ipvsctl.ErrInvalid, op.Kind)
	}
	full := op.Kind == ipvsctl.AddService || op.Kind == ipvsctl.UpdateService
	if err := checkEncodable(op, full); err != nil {
		return err
	}
	b.header(commands[op.Kind])
	b.service(&op.Service, full)
	if op.Kind.OnDest() {
		b.dest(&op.Dest, op.Kind != ipvsctl.DeleteDest)
	}
	return nil
}

// checkEncodable finds what has no encoding at all; whether it makes sense is
// for the kernel to say.
func checkEncodable(op *ipvsctl.Op, full bool) error {
	k := op.Service.Key
	if k.AddressFamily() == 0 || k.FWMark != 0 && k.AddressFamily() != ipvsctl.IPv4 && k.AddressFamily() != ipvsctl.IPv6 {
		return fmt.Errorf("%w: the service has neither an address nor a mark with a family", ipvsctl.ErrInvalid)
	}
	if op.Kind.OnDest() {
		if !op.Dest.Key.Address.IsValid() {
			return fmt.Errorf("%w: the destination has no address", ipvsctl.ErrInvalid)
		}
		if op.Dest.Forward > ipvsctl.Local {
			return fmt.Errorf("%w: %v", ipvsctl.ErrInvalid, op.Dest.Forward)
		}
	}
	if full {
		if s := op.Service.Persistence / time.Second; s < 0 || s > 1<<31-1 {
			return fmt.Errorf("%w: persistence %v", ipvsctl.ErrRange, op.Service.Persistence)
		}
		if most := prefixLimit(k); op.Service.PersistencePrefix > most {
			return fmt.Errorf("%w: persistence prefix %d is longer than %d", ipvsctl.ErrInvalid, op.Service.PersistencePrefix, most)
		}
	}
	return nil
}

func prefixLimit(k ipvsctl.ServiceKey) uint8 {
	if k.AddressFamily() == ipvsctl.IPv6 {
		return 128
	}
	return 32
}

// service appends the key of a service and, if full, all that can be set.
func (b *buffer) service(s *ipvsctl.Service, full bool) {
	start := b.open(attrService)
	defer b.close(start)
	k := &s.Key
	if k.FWMark != 0 {
		b.u16(svcFamily, afOf(k.Family))
		b.u32(svcFWMark, k.FWMark)
	} else {
		b.u16(svcFamily, afOfAddress(k.Address))
		b.u16(svcProtocol, uint16(k.Protocol))
		b.address(svcAddress, k.Address)
		b.be16(svcPort, k.Port)
	}
	if !full {
		return
	}
	b.text(svcScheduler, s.Scheduler)
	b.u32s(svcFlags, flagsOf(s), flagsOfOurs)
	b.u32(svcTimeout, uint32(s.Persistence/time.Second))
	b.netmask(s)
	if s.Engine != "" {
		b.text(svcEngine, s.Engine)
	}
}

func flagsOf(s *ipvsctl.Service) uint32 {
	flags := uint32(s.Flags&schedFlagMask) << schedFlagShift
	if s.Persistence != 0 {
		flags |= flagPersistent
	}
	if s.OnePacket {
		flags |= flagOnePacket
	}
	return flags
}

// netmask is mandatory even without persistence, and IPv6 refuses 0.
func (b *buffer) netmask(s *ipvsctl.Service) {
	limit := prefixLimit(s.Key)
	prefix := s.PersistencePrefix
	if prefix == 0 || s.Persistence == 0 {
		prefix = limit
	}
	if limit == 128 {
		b.u32(svcNetmask, uint32(prefix))
		return
	}
	var mask [4]byte
	binary.BigEndian.PutUint32(mask[:], ^uint32(0)<<(32-prefix))
	b.u32(svcNetmask, binary.NativeEndian.Uint32(mask[:]))
}

// dest appends the key of a destination and, if full, all that can be set. The
// family belongs to the key: without it the kernel assumes the service's.
func (b *buffer) dest(d *ipvsctl.Dest, full bool) {
	start := b.open(attrDest)
	defer b.close(start)
	b.address(dstAddress, d.Key.Address)
	b.be16(dstPort, d.Key.Port)
	b.u16(dstFamily, afOfAddress(d.Key.Address))
	if !full {
		return
	}
	b.u32(dstForward, forwardNumbers[d.Forward])
	b.u32(dstWeight, d.Weight)
	b.u32(dstUpper, d.Upper)
	b.u32(dstLower, d.Lower)
	if d.Tunnel != (ipvsctl.Tunnel{}) {
		b.attr(dstTunnelType, byte(d.Tunnel.Type))
		b.be16(dstTunnelPort, d.Tunnel.Port)
		b.u16(dstTunnelFlags, uint16(d.Tunnel.Flags))
	}
}

var forwardNumbers = [...]uint32{
	ipvsctl.DR: fwdDirect, ipvsctl.TUN: fwdTunnel, ipvsctl.NAT: fwdNAT, ipvsctl.Local: fwdLocal,
}

func afOf(f ipvsctl.Family) uint16 {
	if f == ipvsctl.IPv6 {
		return afInet6
	}
	return afInet
}

func afOfAddress(a netip.Addr) uint16 {
	if a.Is4() {
		return afInet
	}
	return afInet6
}
