package netif

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

const redirectChain = "prerouting"

var redirectProtocols = map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

func redirectTable() ruleTable[Redirect] {
	return ruleTable[Redirect]{
		family: nftables.TableFamilyINet, name: RedirectTable, chain: redirectChain, kind: nftables.ChainTypeNAT,
		hook: nftables.ChainHookPrerouting, priority: nftables.ChainPriorityNATDest,
		exprs: redirectExprs, parse: redirectOf,
		feature: "redirects by nftables", modules: "nf_tables, nft_redir and nft_fib_inet",
	}
}

// ReadRedirects reads the table back. A kernel without nf_tables has none.
func ReadRedirects(ctx context.Context) (Redirects, error) { return redirectTable().read(ctx) }

// SetRedirects makes the table hold exactly these, in one transaction: there is
// never a part of them. None means no table. Connections that are redirected
// already go on, whatever becomes of their rule.
func SetRedirects(ctx context.Context, want []Redirect) error { return redirectTable().set(ctx, want) }

// redirectExprs is the rule
//
//	meta nfproto F F daddr A meta l4proto P th dport N fib daddr . iif type != local redirect to :T
func redirectExprs(r Redirect) ([]expr.Any, error) {
	protocol, known := redirectProtocols[r.Protocol]
	if !known || !r.Address.IsValid() || r.Port == 0 || r.To == 0 {
		return nil, fmt.Errorf("%s cannot be redirected", r)
	}
	family, offset, length := byte(unix.NFPROTO_IPV4), uint32(16), uint32(4)
	if r.Address.Is6() {
		family, offset, length = unix.NFPROTO_IPV6, 24, 16
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equals([]byte{family}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length}, equals(r.Address.AsSlice()),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equals([]byte{protocol}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, equals(binary.BigEndian.AppendUint16(nil, r.Port)),
		&expr.Fib{Register: 1, FlagDADDR: true, FlagIIF: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)},
		&expr.Immediate{Register: 1, Data: binary.BigEndian.AppendUint16(nil, r.To)},
		&expr.Redir{RegisterProtoMin: 1},
	}, nil
}

// redirectOf reads what such a rule is about.
func redirectOf(exprs []expr.Any) (Redirect, bool) {
	if len(exprs) != 12 {
		return Redirect{}, false
	}
	data := func(i int) []byte {
		switch e := exprs[i].(type) {
		case *expr.Cmp:
			return e.Data
		case *expr.Immediate:
			return e.Data
		}
		return nil
	}
	var r Redirect
	r.Address, _ = netip.AddrFromSlice(data(3))
	for name, number := range redirectProtocols {
		if bytes.Equal(data(5), []byte{number}) {
			r.Protocol = name
		}
	}
	if len(data(7)) != 2 || len(data(10)) != 2 {
		return Redirect{}, false
	}
	r.Port, r.To = binary.BigEndian.Uint16(data(7)), binary.BigEndian.Uint16(data(10))
	return r, true
}
