package netif

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// clampTable is behind the translation of sources, so that it is the address that
// the peer sees.
func clampTable() ruleTable[Clamp] {
	return ruleTable[Clamp]{
		family: nftables.TableFamilyINet, name: ClampTable, chain: "postrouting", kind: nftables.ChainTypeFilter,
		hook: nftables.ChainHookPostrouting, priority: nftables.ChainPriorityRef(*nftables.ChainPriorityNATSource + 10),
		exprs: clampExprs, parse: clampOf,
		feature: "lowering the segment size of TCP by nftables", modules: "nf_tables",
	}
}

// ReadClamps reads the table back. A kernel without nf_tables has none.
func ReadClamps(ctx context.Context) (Clamps, error) { return clampTable().read(ctx) }

// SetClamps makes the table hold exactly these, in one transaction. None means no
// table.
func SetClamps(ctx context.Context, want []Clamp) error { return clampTable().set(ctx, want) }

const (
	tcpSYN, tcpRST = 0x02, 0x04
	optionMSS      = 2
)

// clampExprs is the rule
//
//	meta nfproto F F saddr A meta l4proto tcp th sport N tcp flags syn / syn,rst tcp option maxseg size set M
//
// The kernel never raises a size by it.
func clampExprs(c Clamp) ([]expr.Any, error) {
	if !c.Address.IsValid() || c.MSS == 0 {
		return nil, fmt.Errorf("%s is no clamp", c)
	}
	family, offset, length := byte(unix.NFPROTO_IPV4), uint32(12), uint32(4)
	if c.Address.Is6() {
		family, offset, length = unix.NFPROTO_IPV6, 8, 16
	}
	exprs := []expr.Any{
		&expr.Immediate{Register: 1, Data: binary.BigEndian.AppendUint16(nil, c.MSS)},
		&expr.Exthdr{SourceRegister: 1, Type: optionMSS, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
	}
	match := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equals([]byte{family}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length}, equals(c.Address.AsSlice()),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equals([]byte{unix.IPPROTO_TCP}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{tcpSYN | tcpRST}, Xor: []byte{0}}, equals([]byte{tcpSYN}),
	}
	if c.Port != 0 {
		match = append(match, &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 2},
			equals(binary.BigEndian.AppendUint16(nil, c.Port)))
	}
	return append(match, exprs...), nil
}

// clampOf reads what such a rule is about.
func clampOf(exprs []expr.Any) (Clamp, bool) {
	if len(exprs) != 11 && len(exprs) != 13 {
		return Clamp{}, false
	}
	source, ok := exprs[3].(*expr.Cmp)
	size, sized := exprs[len(exprs)-2].(*expr.Immediate)
	if !ok || !sized || len(size.Data) != 2 {
		return Clamp{}, false
	}
	c := Clamp{MSS: binary.BigEndian.Uint16(size.Data)}
	if c.Address, ok = netip.AddrFromSlice(source.Data); !ok {
		return Clamp{}, false
	}
	if port, ok := exprs[10].(*expr.Cmp); ok && len(port.Data) == 2 {
		c.Port = binary.BigEndian.Uint16(port.Data)
	}
	return c, true
}
