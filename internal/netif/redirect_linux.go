package netif

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

const redirectChain = "prerouting"

var redirectProtocols = map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

// ReadRedirects reads the table back. A kernel without nf_tables has none.
func ReadRedirects(ctx context.Context) (Redirects, error) {
	r, err := readRedirects(ctx)
	if err != nil {
		return Redirects{}, fmt.Errorf("reading the nftables table %s: %w", RedirectTable, explain(err))
	}
	return r, nil
}

func readRedirects(ctx context.Context) (Redirects, error) {
	// Asking would load the module, for an answer that is known.
	if state, err := Module("nf_tables"); err == nil && (state == ModuleAvailable || state == ModuleAbsent) {
		return Redirects{}, nil
	}
	conn, err := nftables.New()
	if err != nil {
		return Redirects{}, err
	}
	for range dumpAttempts {
		if err := ctx.Err(); err != nil {
			return Redirects{}, err
		}
		r, err := dumpRedirects(conn)
		// The table, or the whole rule set, was changed meanwhile.
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) {
			continue
		}
		return r, err
	}
	return Redirects{}, errUnsettled
}

func dumpRedirects(conn *nftables.Conn) (Redirects, error) {
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EINVAL) {
		return Redirects{}, nil // no nf_tables
	}
	if err != nil {
		return Redirects{}, err
	}
	i := slices.IndexFunc(tables, func(t *nftables.Table) bool { return t.Name == RedirectTable })
	if i < 0 {
		return Redirects{}, nil
	}
	found := Redirects{Present: true}
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return Redirects{}, err
	}
	for _, chain := range chains {
		if chain.Table.Name != RedirectTable {
			continue
		}
		rules, err := conn.GetRules(tables[i], chain)
		if err != nil {
			return Redirects{}, err
		}
		if !inForce(chain) {
			found.Strange += 1 + len(rules)
			continue
		}
		for _, rule := range rules {
			if r, ok := redirectOf(rule.Exprs); ok {
				found.Rules = append(found.Rules, r)
			} else {
				found.Strange++
			}
		}
	}
	found.Rules = sortedRedirects(found.Rules)
	return found, nil
}

// inForce reports whether packets pass the chain where ours has to be.
func inForce(c *nftables.Chain) bool {
	return c.Name == redirectChain && c.Type == nftables.ChainTypeNAT && c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookPrerouting &&
		c.Priority != nil && *c.Priority == *nftables.ChainPriorityNATDest
}

// SetRedirects makes the table hold exactly these, in one transaction: there is
// never a part of them. None means no table. Connections that are redirected
// already go on, whatever becomes of their rule.
func SetRedirects(ctx context.Context, want []Redirect) error {
	if err := setRedirects(ctx, want); err != nil {
		return fmt.Errorf("setting the nftables table %s: %w", RedirectTable, explain(err))
	}
	return nil
}

func setRedirects(ctx context.Context, want []Redirect) error {
	now, err := readRedirects(ctx)
	if err != nil || now.Are(want) {
		return err
	}
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: RedirectTable}
	if now.Present {
		conn.DelTable(table)
	}
	if len(want) > 0 {
		conn.AddTable(table)
		chain := conn.AddChain(&nftables.Chain{
			Name: redirectChain, Table: table, Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest,
		})
		for _, r := range sortedRedirects(want) {
			exprs, err := redirectExprs(r)
			if err != nil {
				return err
			}
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
		}
	}
	err = conn.Flush()
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOENT) {
		return &UnsupportedError{
			Feature: "redirects by nftables",
			Remedy:  "load the kernel modules nf_tables, nft_redir and nft_fib_inet, or use a kernel that has them",
			Err:     err,
		}
	}
	if err != nil {
		return err
	}
	if now, err = readRedirects(ctx); err == nil && !now.Are(want) {
		err = errors.New("it reads otherwise afterwards: somebody else changes it too")
	}
	return err
}

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
	equal := func(data []byte) *expr.Cmp { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal([]byte{family}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length}, equal(r.Address.AsSlice()),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{protocol}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, equal(binary.BigEndian.AppendUint16(nil, r.Port)),
		&expr.Fib{Register: 1, FlagDADDR: true, FlagIIF: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)},
		&expr.Immediate{Register: 1, Data: binary.BigEndian.AppendUint16(nil, r.To)},
		&expr.Redir{RegisterProtoMin: 1},
	}, nil
}

// redirectOf reads such a rule. It returns false for any other.
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
	// What was read is this rule if this rule would be written for it.
	want, err := redirectExprs(r)
	if err != nil {
		return Redirect{}, false
	}
	for i := range want {
		if !sameExpr(want[i], exprs[i]) {
			return Redirect{}, false
		}
	}
	return r, true
}

func sameExpr(a, b expr.Any) bool {
	x, err := expr.Marshal(unix.NFPROTO_INET, a)
	if err != nil {
		return false
	}
	y, err := expr.Marshal(unix.NFPROTO_INET, b)
	if redir, ok := b.(*expr.Redir); ok && err != nil {
		return false
	} else if ok {
		// The kernel adds the end of the range and that a port is given.
		return redir.RegisterProtoMin == 1 && (redir.RegisterProtoMax == 0 || redir.RegisterProtoMax == 1)
	}
	return err == nil && bytes.Equal(x, y)
}
