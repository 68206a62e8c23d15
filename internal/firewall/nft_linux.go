package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// readNFT adds the rules of nftables in this thread's network namespace.
func (r *Ruleset) readNFT() error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	tables, err := conn.ListTables()
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil // a kernel without nf_tables has no rules of it
	}
	if err != nil {
		return fmt.Errorf("listing tables: %w", err)
	}
	chains, err := conn.ListChains()
	if err != nil {
		return fmt.Errorf("listing chains: %w", err)
	}
	for _, t := range tables {
		if t.Flags&nftables.TableFlagDormant != 0 {
			continue
		}
		if err := r.readTable(conn, t, chains); err != nil {
			return fmt.Errorf("table %s: %w", tableLabel(t), err)
		}
	}
	return nil
}

func tableLabel(t *nftables.Table) string { return familyName(t.Family) + " " + t.Name }

func familyName(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyINet:
		return "inet"
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	case nftables.TableFamilyARP:
		return "arp"
	case nftables.TableFamilyNetdev:
		return "netdev"
	}
	return fmt.Sprint(uint8(f))
}

func (r *Ruleset) readTable(conn *nftables.Conn, t *nftables.Table, all []*nftables.Chain) error {
	sets, err := readSets(conn, t)
	if err != nil {
		return err
	}
	c := compiler{chains: map[string]*chain{}, sets: sets}
	var mine []*nftables.Chain
	for _, from := range all {
		if from.Table.Name == t.Name && from.Table.Family == t.Family {
			mine = append(mine, from)
			c.chains[from.Name] = newChain(t, from)
		}
	}
	for _, from := range mine {
		rules, err := conn.GetRules(t, from)
		if err != nil {
			return fmt.Errorf("rules of chain %s: %w", from.Name, err)
		}
		into := c.chains[from.Name]
		for _, rule := range rules {
			into.rules = append(into.rules, c.rule(fmt.Sprintf("rule with handle %d of %s", rule.Handle, into.label), rule.Exprs))
		}
		r.chains = append(r.chains, into)
	}
	r.tracking = r.tracking || c.tracking
	return nil
}

func newChain(t *nftables.Table, from *nftables.Chain) *chain {
	c := &chain{
		label: fmt.Sprintf("chain %s of table %s", from.Name, tableLabel(t)), device: from.Device,
		place: Place{"nft", familyName(t.Family), t.Name, from.Name},
	}
	// Where the rules look like those of iptables, they are its own.
	if from.Hooknum != nil && from.Name == strings.ToUpper(from.Name) {
		switch t.Family {
		case nftables.TableFamilyIPv4:
			c.place.Program = "iptables"
		case nftables.TableFamilyIPv6:
			c.place.Program = "ip6tables"
		}
	}
	if from.Hooknum != nil {
		c.hook = hookOf(t.Family, *from.Hooknum)
	}
	if from.Priority != nil {
		c.priority = int(*from.Priority)
	}
	c.drops = from.Policy != nil && *from.Policy == nftables.ChainPolicyDrop
	c.takes = func(p *Packet) bool {
		switch t.Family {
		case nftables.TableFamilyARP:
			return p.ARP
		case nftables.TableFamilyNetdev:
			return true
		case nftables.TableFamilyINet:
			return !p.ARP
		case nftables.TableFamilyIPv4:
			return !p.ARP && p.Source.Is4()
		case nftables.TableFamilyIPv6:
			return !p.ARP && !p.Source.Is4()
		}
		return false // bridges have a path of their own
	}
	return c
}

func hookOf(family nftables.TableFamily, number nftables.ChainHook) Hook {
	if family == nftables.TableFamilyNetdev {
		if number == *nftables.ChainHookIngress {
			return Ingress
		}
		return ""
	}
	if family == nftables.TableFamilyARP { // NF_ARP_IN, NF_ARP_OUT
		return map[nftables.ChainHook]Hook{0: Input, 1: Output}[number]
	}
	return map[nftables.ChainHook]Hook{
		*nftables.ChainHookPrerouting: Prerouting, *nftables.ChainHookInput: Input, *nftables.ChainHookForward: Forward,
		*nftables.ChainHookOutput: Output, *nftables.ChainHookPostrouting: Postrouting,
	}[number]
}

// readSets returns the sets and maps of a table by name.
func readSets(conn *nftables.Conn, t *nftables.Table) (map[string]*set, error) {
	list, err := conn.GetSets(t)
	if err != nil {
		return nil, fmt.Errorf("listing sets: %w", err)
	}
	sets := map[string]*set{}
	for _, from := range list {
		elements, err := conn.GetSetElements(from)
		if err != nil {
			return nil, fmt.Errorf("elements of set %s: %w", from.Name, err)
		}
		s := &set{length: int(from.KeyType.Bytes), intervals: from.Interval}
		for _, e := range elements {
			s.elements = append(s.elements, element{key: e.Key, last: e.KeyEnd, end: e.IntervalEnd, data: e.Val})
		}
		sets[from.Name] = s
	}
	return sets, nil
}

func verdictOf(v *expr.Verdict) verdict {
	kinds := map[expr.VerdictKind]kind{
		expr.VerdictReturn: leave, expr.VerdictGoto: jumpForGood, expr.VerdictJump: jump, expr.VerdictDrop: drop,
		expr.VerdictAccept: accept, expr.VerdictStop: accept,
	}
	return verdict{kinds[v.Kind], v.Chain}
}

// parseVerdict reads an element of a verdict map.
func parseVerdict(data []byte) (verdict, error) {
	attrs, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return verdict{}, err
	}
	attrs.ByteOrder = binary.BigEndian
	v := expr.Verdict{}
	for attrs.Next() {
		switch attrs.Type() {
		case unix.NFTA_VERDICT_CODE:
			v.Kind = expr.VerdictKind(int32(attrs.Uint32()))
		case unix.NFTA_VERDICT_CHAIN:
			v.Chain = attrs.String()
		}
	}
	return verdictOf(&v), attrs.Err()
}
