package ipvsnl

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"time"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// errTruncated is an answer that ends inside an attribute.
var errTruncated = errors.New("the answer is truncated")

// attributes is a sequence of attributes, read without copying.
type attributes []byte

// next returns the next attribute. Each call consumes at least four bytes, so
// reading ends whatever the bytes are. At the end ok is false.
func (a *attributes) next() (typ uint16, v value, ok bool, err error) {
	b := *a
	if len(b) == 0 {
		return 0, nil, false, nil
	}
	if len(b) < 4 {
		return 0, nil, false, errTruncated
	}
	length := int(binary.NativeEndian.Uint16(b))
	if length < 4 || length > len(b) {
		return 0, nil, false, errTruncated
	}
	*a = b[min((length+3)&^3, len(b)):]
	const flags = nested | 1<<14
	return binary.NativeEndian.Uint16(b[2:]) &^ flags, value(b[4:length]), true, nil
}

// each calls fn with every attribute and names the one that fn refuses.
func (a attributes) each(what string, fn func(typ uint16, v value) error) error {
	for {
		typ, v, ok, err := a.next()
		if err != nil {
			return fmt.Errorf("reading a %s: %w", what, err)
		}
		if !ok {
			return nil
		}
		if err := fn(typ, v); err != nil {
			return fmt.Errorf("reading a %s: attribute %d: %w", what, typ, err)
		}
	}
}

// value is what an attribute holds.
type value []byte

func (v value) need(n int) error {
	if len(v) != n {
		return fmt.Errorf("%d bytes instead of %d", len(v), n)
	}
	return nil
}

func (v value) u8(to *uint8) error {
	if err := v.need(1); err != nil {
		return err
	}
	*to = v[0]
	return nil
}

func (v value) u16(to *uint16) error {
	if err := v.need(2); err != nil {
		return err
	}
	*to = binary.NativeEndian.Uint16(v)
	return nil
}

func (v value) be16(to *uint16) error {
	if err := v.need(2); err != nil {
		return err
	}
	*to = binary.BigEndian.Uint16(v)
	return nil
}

func (v value) u32(to *uint32) error {
	if err := v.need(4); err != nil {
		return err
	}
	*to = binary.NativeEndian.Uint32(v)
	return nil
}

// counter reads 32 or 64 bits.
func (v value) counter(to *uint64) error {
	if len(v) == 8 {
		*to = binary.NativeEndian.Uint64(v)
		return nil
	}
	var n uint32
	err := v.u32(&n)
	*to = uint64(n)
	return err
}

// text reads a string that a NUL ends.
func (v value) text(to *string) error {
	s, _, _ := bytes.Cut(v, []byte{0})
	*to = string(s)
	return nil
}

// address reads an address of the given family: the kernel sends 16 bytes for
// both.
func address(v value, af uint16) (netip.Addr, error) {
	switch {
	case af == afInet && len(v) >= 4:
		return netip.AddrFrom4([4]byte(v[:4])), nil
	case af == afInet6 && len(v) >= 16:
		return netip.AddrFrom16([16]byte(v[:16])), nil
	}
	return netip.Addr{}, fmt.Errorf("no address: %d bytes for address family %d", len(v), af)
}

// payload returns the attributes inside the one of type typ at the first level
// of a generic netlink message.
func payload(message []byte, typ uint16, what string) (attributes, error) {
	if len(message) < genlHeaderLength {
		return nil, fmt.Errorf("reading a %s: %w", what, errTruncated)
	}
	var inner attributes
	err := attributes(message[genlHeaderLength:]).each("message", func(t uint16, v value) error {
		if t == typ {
			inner = attributes(v)
		}
		return nil
	})
	if err == nil && inner == nil {
		err = fmt.Errorf("reading a %s: the answer holds none", what)
	}
	return inner, err
}

// rawService is a service before its fields are put together, since the
// address can be read only when the family is known.
type rawService struct {
	af, protocol, port   uint16
	mark, flags, timeout uint32
	address, netmask     value
	scheduler, engine    string
	stats, stats64       attributes
}

func decodeService(message []byte) (ipvsctl.LiveService, error) {
	inner, err := payload(message, attrService, "service")
	if err != nil {
		return ipvsctl.LiveService{}, err
	}
	var raw rawService
	if err := inner.each("service", raw.take); err != nil {
		return ipvsctl.LiveService{}, err
	}
	return raw.service()
}

func (r *rawService) take(typ uint16, v value) error {
	switch typ {
	case svcFamily:
		return v.u16(&r.af)
	case svcProtocol:
		return v.u16(&r.protocol)
	case svcAddress:
		r.address = v
	case svcPort:
		return v.be16(&r.port)
	case svcFWMark:
		return v.u32(&r.mark)
	case svcScheduler:
		return v.text(&r.scheduler)
	case svcFlags:
		if err := v.need(8); err != nil {
			return err
		}
		return v[:4].u32(&r.flags)
	case svcTimeout:
		return v.u32(&r.timeout)
	case svcNetmask:
		r.netmask = v
		return v.need(4)
	case svcStats:
		r.stats = attributes(v)
	case svcEngine:
		return v.text(&r.engine)
	case svcStats64:
		r.stats64 = attributes(v)
	}
	return nil
}

func (r *rawService) service() (ipvsctl.LiveService, error) {
	key, err := r.key()
	if err != nil {
		return ipvsctl.LiveService{}, fmt.Errorf("reading a service: %w", err)
	}
	live := ipvsctl.LiveService{Service: ipvsctl.Service{
		Key:       key,
		Scheduler: r.scheduler,
		Flags:     ipvsctl.SchedFlags(r.flags >> schedFlagShift & schedFlagMask),
		Engine:    r.engine,
		OnePacket: r.flags&flagOnePacket != 0,
	}}
	if r.flags&flagPersistent != 0 {
		r.persistence(&live)
	}
	live.Stats, err = decodeStats(r.stats, r.stats64)
	return live, err
}

func (r *rawService) key() (ipvsctl.ServiceKey, error) {
	var family ipvsctl.Family
	switch r.af {
	case afInet:
		family = ipvsctl.IPv4
	case afInet6:
		family = ipvsctl.IPv6
	default:
		return ipvsctl.ServiceKey{}, fmt.Errorf("unknown address family %d", r.af)
	}
	if r.mark != 0 {
		return ipvsctl.ServiceKey{FWMark: r.mark, Family: family}, nil
	}
	if r.protocol > 255 {
		return ipvsctl.ServiceKey{}, fmt.Errorf("protocol %d is above 255", r.protocol)
	}
	a, err := address(r.address, r.af)
	return ipvsctl.ServiceKey{Protocol: ipvsctl.Protocol(r.protocol), Address: a, Port: r.port}, err
}

// persistence translates timeout and netmask, which mean something only where
// the flag is set.
func (r *rawService) persistence(live *ipvsctl.LiveService) {
	live.Persistence = time.Duration(r.timeout) * time.Second
	if r.timeout == 0 {
		live.Irregular = "persistence of 0 s"
		return
	}
	if len(r.netmask) != 4 {
		live.Irregular = "persistence without a netmask"
		return
	}
	if r.af == afInet6 {
		prefix := binary.NativeEndian.Uint32(r.netmask)
		if prefix < 1 || prefix > 128 {
			live.Irregular = fmt.Sprintf("persistence prefix %d", prefix)
			return
		}
		live.PersistencePrefix = uint8(prefix)
		return
	}
	mask := binary.BigEndian.Uint32(r.netmask)
	ones := bits.LeadingZeros32(^mask)
	if mask == 0 || mask<<ones != 0 {
		live.Irregular = "persistence netmask " + netip.AddrFrom4([4]byte(r.netmask)).String()
		return
	}
	live.PersistencePrefix = uint8(ones)
}
