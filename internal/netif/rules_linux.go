package netif

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// ruleTable is an nftables table of ours with one chain, and how its rules are
// written and read.
type ruleTable[T Rule[T]] struct {
	family   nftables.TableFamily
	name     string
	chain    string
	kind     nftables.ChainType
	hook     *nftables.ChainHook
	priority *nftables.ChainPriority
	exprs    func(T) ([]expr.Any, error)
	// parse says what a rule is about, if it is one of this sort.
	parse func([]expr.Any) (T, bool)
	// feature and modules are named where the kernel has no such thing.
	feature, modules string
}

func (t ruleTable[T]) read(ctx context.Context) (Rules[T], error) {
	r, err := t.look(ctx)
	if err != nil {
		return Rules[T]{}, fmt.Errorf("reading the nftables table %s: %w", t.name, explain(err))
	}
	return r, nil
}

func (t ruleTable[T]) look(ctx context.Context) (Rules[T], error) {
	// Asking would load the module, for an answer that is known.
	if state, err := Module("nf_tables"); err == nil && (state == ModuleAvailable || state == ModuleAbsent) {
		return Rules[T]{}, nil
	}
	conn, err := nftables.New()
	if err != nil {
		return Rules[T]{}, err
	}
	for range dumpAttempts {
		if err := ctx.Err(); err != nil {
			return Rules[T]{}, err
		}
		r, err := t.dump(conn)
		// The table, or the whole rule set, was changed meanwhile.
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) {
			continue
		}
		return r, err
	}
	return Rules[T]{}, errUnsettled
}

func (t ruleTable[T]) dump(conn *nftables.Conn) (Rules[T], error) {
	tables, err := conn.ListTablesOfFamily(t.family)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EINVAL) {
		return Rules[T]{}, nil // no nf_tables
	}
	if err != nil {
		return Rules[T]{}, err
	}
	i := slices.IndexFunc(tables, func(other *nftables.Table) bool { return other.Name == t.name })
	if i < 0 {
		return Rules[T]{}, nil
	}
	found := Rules[T]{Present: true}
	chains, err := conn.ListChainsOfTableFamily(t.family)
	if err != nil {
		return Rules[T]{}, err
	}
	for _, chain := range chains {
		if chain.Table.Name != t.name {
			continue
		}
		rules, err := conn.GetRules(tables[i], chain)
		if err != nil {
			return Rules[T]{}, err
		}
		if !t.inForce(chain) {
			found.Strange += 1 + len(rules)
			continue
		}
		for _, rule := range rules {
			if r, ok := t.known(rule.Exprs); ok {
				found.Rules = append(found.Rules, r)
			} else {
				found.Strange++
			}
		}
	}
	found.Rules = sortedRules(found.Rules)
	return found, nil
}

// inForce reports whether packets pass the chain where ours has to be.
func (t ruleTable[T]) inForce(c *nftables.Chain) bool {
	return c.Name == t.chain && c.Type == t.kind && c.Hooknum != nil && *c.Hooknum == *t.hook &&
		c.Priority != nil && *c.Priority == *t.priority
}

// known reads a rule. What was read is one of ours if it would be written for what
// it is about.
func (t ruleTable[T]) known(exprs []expr.Any) (T, bool) {
	r, ok := t.parse(exprs)
	if !ok {
		return r, false
	}
	want, err := t.exprs(r)
	return r, err == nil && slices.EqualFunc(want, exprs, sameExpr)
}

func (t ruleTable[T]) set(ctx context.Context, want []T) error {
	if err := t.replace(ctx, want); err != nil {
		return fmt.Errorf("setting the nftables table %s: %w", t.name, explain(err))
	}
	return nil
}

func (t ruleTable[T]) replace(ctx context.Context, want []T) error {
	now, err := t.look(ctx)
	if err != nil || now.Are(want) {
		return err
	}
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Family: t.family, Name: t.name}
	if now.Present {
		conn.DelTable(table)
	}
	if len(want) > 0 {
		conn.AddTable(table)
		chain := conn.AddChain(&nftables.Chain{Name: t.chain, Table: table, Type: t.kind, Hooknum: t.hook, Priority: t.priority})
		for _, r := range sortedRules(want) {
			exprs, err := t.exprs(r)
			if err != nil {
				return err
			}
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
		}
	}
	if err := t.commit(conn); err != nil {
		return err
	}
	if now, err = t.look(ctx); err == nil && !now.Are(want) {
		err = errors.New("it reads otherwise afterwards: somebody else changes it too")
	}
	return err
}

func (t ruleTable[T]) commit(conn *nftables.Conn) error {
	err := conn.Flush()
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EAFNOSUPPORT) {
		return &UnsupportedError{
			Feature: t.feature,
			Remedy:  "load the kernel modules " + t.modules + ", or use a kernel that has them",
			Err:     err,
		}
	}
	return err
}

// equals compares what the register has.
func equals(data []byte) *expr.Cmp { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

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
