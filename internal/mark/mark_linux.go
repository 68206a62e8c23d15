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

// TableName is the name of the tables of ours, in the families ip and ip6.
const TableName = "haldir"

const chainName = "mark"

// family is what the rules of one address family are made of.
type family struct {
	six      bool
	table    nftables.TableFamily
	key      nftables.SetDatatype
	protocol expr.Any // loads the number of the transport protocol into register 1
	address  expr.Any // loads the destination into register 1
}

var families = []family{
	{
		table: nftables.TableFamilyIPv4, key: nftables.TypeIPAddr,
		protocol: &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 9, Len: 1},
		address:  &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
	},
	{
		six: true, table: nftables.TableFamilyIPv6, key: nftables.TypeIP6Addr,
		// Extension headers may come before that of the protocol.
		protocol: &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		address:  &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 24, Len: 16},
	},
}

func (f family) own() *nftables.Table { return &nftables.Table{Family: f.table, Name: TableName} }

// Set makes the rules the whole of those that mark packets, in one transaction; no
// rules take the tables away. It reports whether anything was changed: what is
// there already is left as it is, with its counters.
func Set(_ context.Context, rules []Rule) (changed bool, err error) {
	conn, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("marking packets: %w", explain(err))
	}
	for _, f := range families {
		one, err := f.set(conn, canonical(ofFamily(rules, f.six)))
		if err != nil {
			return false, err
		}
		changed = changed || one
	}
	if !changed {
		return false, nil
	}
	if err := conn.Flush(); err != nil {
		return false, fmt.Errorf("setting the rules that mark packets: %w", explain(err))
	}
	return true, nil
}

// set prepares what makes the rules those of one family, and reports whether there
// is anything to do.
func (f family) set(conn *nftables.Conn, rules []Rule) (changed bool, err error) {
	there, err := f.read(conn)
	switch {
	case absent(err) && len(rules) == 0:
		return false, nil
	case err != nil && !errors.Is(err, unix.ENOENT):
		return false, fmt.Errorf("reading the rules that mark packets: %w", explain(err))
	case err == nil && len(rules) > 0 && slices.EqualFunc(there, rules, same):
		return false, nil
	}
	table := f.own()
	conn.AddTable(table) // so that the deletion finds one
	conn.DelTable(table)
	if len(rules) > 0 {
		conn.AddTable(table)
		if err := f.add(conn, table, rules); err != nil {
			return false, fmt.Errorf("marking packets: %w", err)
		}
	}
	return true, nil
}

// absent reports whether there is no table of ours, or no such family at all.
func absent(err error) bool { return errors.Is(err, unix.ENOENT) || unsupported(err) }

func unsupported(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT)
}

// explain says the remedy where the kernel lacks what marking takes.
func explain(err error) error {
	if unsupported(err) {
		return fmt.Errorf("this kernel has no nftables (load it with \"modprobe nf_tables\", in a container on the host): %w", err)
	}
	return err
}

func same(a, b Rule) bool {
	return a.set() == b.set() && slices.Equal(a.Addresses, b.Addresses)
}

func (f family) add(conn *nftables.Conn, table *nftables.Table, rules []Rule) error {
	accept := nftables.ChainPolicyAccept
	chain := conn.AddChain(&nftables.Chain{
		Name: chainName, Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle, Policy: &accept,
	})
	for _, r := range rules {
		set := &nftables.Set{Table: table, Name: r.set(), KeyType: f.key, Interval: true}
		var elements []nftables.SetElement
		for _, span := range r.Addresses {
			end := span.To.Next()
			if !end.IsValid() {
				return fmt.Errorf("addresses %s to %s cannot be in a set", span.From, span.To)
			}
			elements = append(elements, nftables.SetElement{Key: span.From.AsSlice()}, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
		}
		if err := conn.AddSet(set, elements); err != nil {
			return fmt.Errorf("making the set of addresses: %w", err)
		}
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, UserData: []byte(r.set()), Exprs: f.expressions(r, set)})
	}
	return nil
}

// expressions are: protocol P, daddr @set, th dport FROM-TO, counter, meta mark set
// N.
func (f family) expressions(r Rule, set *nftables.Set) []expr.Any {
	return []expr.Any{
		f.protocol,
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{r.Protocol}},
		f.address,
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
func (f family) read(conn *nftables.Conn) ([]Rule, error) {
	table := f.own()
	tables, err := conn.ListTablesOfFamily(f.table)
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
		if rules[i], err = f.rule(conn, table, l); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// rule decodes a rule by its name, if its expressions are those of that name.
func (f family) rule(conn *nftables.Conn, table *nftables.Table, live *nftables.Rule) (Rule, error) {
	var r Rule
	if _, err := fmt.Sscanf(string(live.UserData), "mark-%d-%d-%d-%d", &r.Mark, &r.Protocol, &r.FromPort, &r.ToPort); err != nil ||
		r.set() != string(live.UserData) || !matches(live.Exprs, f.expressions(r, &nftables.Set{Name: r.set()})) {
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
