package ipvsnl

import (
	"fmt"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// decodeDest reads a destination of a service of the given family, which is
// the destination's own where the kernel (before 3.18) does not say.
func decodeDest(message []byte, family ipvsctl.Family) (ipvsctl.LiveDest, error) {
	inner, err := payload(message, attrDest, "destination")
	if err != nil {
		return ipvsctl.LiveDest{}, err
	}
	raw := rawDest{af: afOf(family)}
	if err := inner.each("destination", raw.take); err != nil {
		return ipvsctl.LiveDest{}, err
	}
	a, err := address(raw.address, raw.af)
	if err != nil {
		return ipvsctl.LiveDest{}, fmt.Errorf("reading a destination: %w", err)
	}
	raw.live.Key.Address = a
	raw.live.Stats, err = decodeStats(raw.stats, raw.stats64)
	return raw.live, err
}

type rawDest struct {
	live           ipvsctl.LiveDest
	af             uint16
	address        value
	stats, stats64 attributes
}

func (r *rawDest) take(typ uint16, v value) error {
	d := &r.live
	switch typ {
	case dstAddress:
		r.address = v
	case dstPort:
		return v.be16(&d.Key.Port)
	case dstForward:
		var n uint32
		err := v.u32(&n)
		d.Forward = forwardOf(n)
		return err
	case dstWeight:
		return v.u32(&d.Weight)
	case dstUpper:
		return v.u32(&d.Upper)
	case dstLower:
		return v.u32(&d.Lower)
	case dstActiveConns:
		return v.u32(&d.ActiveConns)
	case dstInactiveConns:
		return v.u32(&d.InactiveConns)
	case dstPersistentConns:
		return v.u32(&d.PersistentConns)
	case dstStats:
		r.stats = attributes(v)
	case dstFamily:
		return v.u16(&r.af)
	case dstStats64:
		r.stats64 = attributes(v)
	case dstTunnelType:
		return v.u8((*uint8)(&d.Tunnel.Type))
	case dstTunnelPort:
		return v.be16(&d.Tunnel.Port)
	case dstTunnelFlags:
		return v.u16((*uint16)(&d.Tunnel.Flags))
	}
	return nil
}

// forwardOf keeps the numbers that Forward has no name for: those are above
// its own.
func forwardOf(n uint32) ipvsctl.Forward {
	switch n &= fwdMask; n {
	case fwdNAT:
		return ipvsctl.NAT
	case fwdLocal:
		return ipvsctl.Local
	case fwdTunnel:
		return ipvsctl.TUN
	case fwdDirect:
		return ipvsctl.DR
	default:
		return ipvsctl.Forward(n)
	}
}

// decodeStats prefers the 64-bit form, which kernels before 4.1 do not send:
// the other one wraps.
func decodeStats(stats, stats64 attributes) (ipvsctl.Stats, error) {
	if stats64 == nil {
		stats64 = stats
	}
	var s ipvsctl.Stats
	fields := [...]*uint64{
		statConns: &s.Conns, statInPackets: &s.InPackets, statOutPackets: &s.OutPackets,
		statInBytes: &s.InBytes, statOutBytes: &s.OutBytes,
		statConnRate: &s.ConnsPerSec, statInPacketRate: &s.InPacketsPerSec, statOutPacketRate: &s.OutPacketsPerSec,
		statInByteRate: &s.InBytesPerSec, statOutByteRate: &s.OutBytesPerSec,
	}
	err := stats64.each("statistic", func(typ uint16, v value) error {
		if typ == 0 || int(typ) >= len(fields) {
			return nil
		}
		return v.counter(fields[typ])
	})
	return s, err
}
