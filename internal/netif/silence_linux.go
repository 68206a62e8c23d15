package netif

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

func silenceTable() ruleTable[Silence] {
	return ruleTable[Silence]{
		family: nftables.TableFamilyARP, name: SilenceTable, chain: "output", kind: nftables.ChainTypeFilter,
		hook: arpOutput, priority: nftables.ChainPriorityFilter,
		exprs: silenceExprs, parse: silenceOf,
		feature: "rules for ARP by nftables", modules: "nf_tables with the family arp",
	}
}

// arpOutput is NF_ARP_OUT.
var arpOutput = nftables.ChainHookRef(1)

// ReadSilences reads the table back. A kernel without nf_tables has none.
func ReadSilences(ctx context.Context) (Silences, error) { return silenceTable().read(ctx) }

// SetSilences makes the table hold exactly these, in one transaction. None means no
// table. A kernel without rules for ARP is an *UnsupportedError.
func SetSilences(ctx context.Context, want []Silence) error { return silenceTable().set(ctx, want) }

// CanSilence asks the kernel whether it has rules for ARP, by a transaction that
// ends as it begins.
func CanSilence() (bool, error) {
	conn, err := nftables.New()
	if err != nil {
		return false, err
	}
	t := silenceTable()
	table := conn.AddTable(&nftables.Table{Family: t.family, Name: SilenceTable + "_probe"})
	conn.AddChain(&nftables.Chain{Name: t.chain, Table: table, Type: t.kind, Hooknum: t.hook, Priority: t.priority})
	conn.DelTable(table)
	err = t.commit(conn)
	if errors.Is(err, errors.ErrUnsupported) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking for rules about ARP: %w", explain(err))
	}
	return true, nil
}

// silenceExprs is the rule
//
//	arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp saddr ip A drop
func silenceExprs(s Silence) ([]expr.Any, error) {
	if !s.Address.Is4() {
		return nil, fmt.Errorf("there is no ARP about %s", s.Address)
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 0, Len: 6}, equals([]byte{0, 1, 8, 0, 6, 4}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 14, Len: 4}, equals(s.Address.AsSlice()),
		&expr.Verdict{Kind: expr.VerdictDrop},
	}, nil
}

// silenceOf reads what such a rule is about.
func silenceOf(exprs []expr.Any) (Silence, bool) {
	if len(exprs) != 5 {
		return Silence{}, false
	}
	sender, ok := exprs[3].(*expr.Cmp)
	if !ok {
		return Silence{}, false
	}
	addr, ok := netip.AddrFromSlice(sender.Data)
	return Silence{addr}, ok
}
