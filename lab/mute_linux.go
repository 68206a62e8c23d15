package lab

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/vrrp"
)

const muteTable = "haldir-lab"

// Deafen keeps the directors from hearing one another's adverts, while everything
// else passes between them. Undeafen ends it. It needs nf_tables.
func (c *Cluster) Deafen() error {
	return c.onDirectors("dropping adverts", func(conn *nftables.Conn) {
		table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: muteTable})
		chain := conn.AddChain(&nftables.Chain{
			Table: table, Name: "input", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
		})
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: unix.NFT_REG_1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{vrrp.Protocol}},
			&expr.Verdict{Kind: expr.VerdictDrop},
		}})
	})
}

// Undeafen ends Deafen.
func (c *Cluster) Undeafen() error {
	return c.onDirectors("letting adverts through", func(conn *nftables.Conn) {
		conn.DelTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: muteTable})
	})
}

// onDirectors changes the packet filter of every director.
func (c *Cluster) onDirectors(what string, change func(*nftables.Conn)) error {
	var errs []error
	for _, n := range c.Nodes(KindDirector) {
		err := n.Do(func() error {
			conn, err := nftables.New()
			if err != nil {
				return err
			}
			change(conn)
			return conn.Flush()
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("%s on %s: %w", what, n.Name, err))
		}
	}
	return errors.Join(errs...)
}
