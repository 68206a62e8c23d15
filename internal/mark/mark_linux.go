package mark

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// TableName is the name of the table of ours, in the family ip.
const TableName = "haldir"

const chainName = "mark"

// Set makes the rules the whole of those that mark packets, in one transaction; no
// rules take the table away. It reports whether anything was changed: what is
// there already is left as it is, with its counters.
func Set(_ context.Context, rules []Rule) (changed bool, err error) {
	rules = canonical(rules)
	conn, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("marking packets: %w", err)
	}
	there, err := read(conn)
	switch {
	case errors.Is(err, unix.ENOENT) && len(rules) == 0:
		return false, nil
	case err != nil && !errors.Is(err, unix.ENOENT):
		return false, fmt.Errorf("reading the rules that mark packets: %w", err)
	case err == nil && len(rules) > 0 && slices.EqualFunc(there, rules, same):
		return false, nil
	}
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: TableName}
	conn.AddTable(table) // so that the deletion finds one
	conn.DelTable(table)
	if len(rules) > 0 {
		conn.AddTable(table)
		if err := add(conn, table, rules); err != nil {
			return false, fmt.Errorf("marking packets: %w", err)
		}
	}
	if err := conn.Flush(); err != nil {
		return false, fmt.Errorf("setting the rules that mark packets: %w", err)
	}
	return true, nil
}

func same(a, b Rule) bool {
	return a.set() == b.set() && slices.Equal(a.Addresses, b.Addresses)
}

func add(conn *nftables.Conn, table *nftables.Table, rules []Rule) error {
	accept := nftables.ChainPolicyAccept
	chain := conn.AddChain(&nftables.Chain{
		Name: chainName, Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle, Policy: &accept,
	})
	for _, r := range rules {
		set := &nftables.Set{Table: table, Name: r.set(), KeyType: nftables.TypeIPAddr, Interval: true}
		var elements []nftables.SetElement
		for _, span := range r.Addresses {
			end := span.To.Next()
			if !span.From.Is4() || !end.IsValid() {
				return fmt.Errorf("addresses %s to %s cannot be in a set", span.From, span.To)
			}
			elements = append(elements, nftables.SetElement{Key: span.From.AsSlice()}, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
		}
		if err := conn.AddSet(set, elements); err != nil {
			return fmt.Errorf("making the set of addresses: %w", err)
		}
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, UserData: []byte(r.set()), Exprs: r.expressions(set)})
	}
	return nil
}

// expressions are: ip protocol P, ip daddr @set, th dport FROM-TO, counter, meta
// mark set N.
func (r Rule) expressions(set *nftables.Set) []expr.Any {
	const protocolOffset, destinationOffset = 9, 16
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: protocolOffset, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{r.Protocol}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: destinationOffset, Len: 4},
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: binaryutil.BigEndian.PutUint16(r.FromPort)},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: binaryutil.BigEndian.PutUint16(r.ToPort)},
		&expr.Counter{},
		&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint32(r.Mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
	}
}

// read returns the rules of the table as they would have been given. A table that
// holds anything else gives rules that equal none.
func read(conn *nftables.Conn) ([]Rule, error) {
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: TableName}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == TableName }) {
		return nil, unix.ENOENT
	}
	live, err := conn.GetRules(table, &nftables.Chain{Name: chainName, Table: table})
	if errors.Is(err, unix.ENOENT) {
		return nil, nil // a table of ours without its chain
	}
	if err != nil {
		return nil, err
	}
	rules := make([]Rule, len(live))
	for i, l := range live {
		if rules[i], err = rule(conn, table, l); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// rule decodes a rule by its name, if its expressions are those of that name.
func rule(conn *nftables.Conn, table *nftables.Table, live *nftables.Rule) (Rule, error) {
	var r Rule
	if _, err := fmt.Sscanf(string(live.UserData), "mark-%d-%d-%d-%d", &r.Mark, &r.Protocol, &r.FromPort, &r.ToPort); err != nil ||
		r.set() != string(live.UserData) || !matches(live.Exprs, r.expressions(&nftables.Set{Name: r.set()})) {
		return Rule{}, nil
	}
	set, err := conn.GetSetByName(table, r.set())
	if err != nil {
		return Rule{}, err
	}
	elements, err := conn.GetSetElements(set)
	if err != nil {
		return Rule{}, err
	}
	slices.SortFunc(elements, func(a, b nftables.SetElement) int { return bytes.Compare(a.Key, b.Key) })
	for _, e := range elements {
		a, ok := netip.AddrFromSlice(e.Key)
		switch n := len(r.Addresses); {
		case !ok:
		case !e.IntervalEnd:
			r.Addresses = append(r.Addresses, Span{From: a})
		case n > 0 && !r.Addresses[n-1].To.IsValid():
			r.Addresses[n-1].To = a.Prev()
		}
	}
	return r, nil
}

// matches compares expressions but for what the kernel counts or numbers.
func matches(live, want []expr.Any) bool {
	return slices.EqualFunc(live, want, func(l, w expr.Any) bool {
		switch w := w.(type) {
		case *expr.Counter:
			_, ok := l.(*expr.Counter)
			return ok
		case *expr.Lookup:
			l, ok := l.(*expr.Lookup)
			return ok && l.SetName == w.SetName && l.SourceRegister == w.SourceRegister && l.Invert == w.Invert
		case *expr.Cmp:
			l, ok := l.(*expr.Cmp)
			return ok && l.Op == w.Op && l.Register == w.Register && bytes.Equal(l.Data, w.Data)
		case *expr.Immediate:
			l, ok := l.(*expr.Immediate)
			return ok && l.Register == w.Register && bytes.Equal(l.Data, w.Data)
		case *expr.Payload:
			l, ok := l.(*expr.Payload)
			return ok && l.Base == w.Base && l.Offset == w.Offset && l.Len == w.Len && l.DestRegister == w.DestRegister
		case *expr.Meta:
			l, ok := l.(*expr.Meta)
			return ok && *l == *w
		}
		return false
	})
}
