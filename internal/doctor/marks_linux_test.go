package doctor

import (
	"encoding/binary"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/mark"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// markFaults are those of the rules that mark packets.
var markFaults = []fault{
	{"a service by mark", marked, "dr", func(*ward) {}, nil, "", ""},
	{
		"a service by mark, and no rule", marked, "dr", (*ward).noMarks,
		[]string{"mark-missing"}, "packets for 192.0.2.100:443 (service web) do not have mark 7", "no rule at the hook prerouting marks them",
	},
	{
		"a service by mark, and a later rule", marked, "dr",
		func(w *ward) { w.remark(8) },
		[]string{"mark-missing"}, "packets for 192.0.2.100:443 (service web) do not have mark 7", "of table ip late sets mark 8",
	},
	{
		"a service by mark of IPv6, and no rule", marked, "dr", func(w *ward) { w.table = w.table[1:]; w.noMarks() },
		[]string{"mark-missing"}, "packets for [2001:db8::100]:80 (service web) do not have mark 7", "no rule at the hook prerouting marks them",
	},
	{"a service by mark that the kernel has not", marked, "dr", func(w *ward) { w.table = nil; w.noMarks() }, nil, "", ""},
}

func TestMarksThatAreMissingAreFound(t *testing.T) {
	native(t)
	playAll(t, markFaults)
}

const markText = `
[[vrrp]]
name      = "edge"
interface = "eth0"
router_id = 51
priority  = { d1 = 150, d2 = 100 }
addresses = ["192.0.2.100/24", "2001:db8::100/64"]

[[service]]
name    = "web"
listen  = ["192.0.2.100:80", "192.0.2.100:443", "[2001:db8::100]:80"]
fwmark  = 7
forward = "dr"
[[service.real]]
address = "192.0.2.11"
[[service.real]]
address = "2001:db8::11"
`

// marked is a director that balances a service by mark.
func marked(t *testing.T, mode string) *ward {
	w := director(t, mode)
	w.cfg = load(t, "d1", markText)
	w.role("master")
	for _, v := range w.cfg.VRRP[0].Addresses {
		w.tagged("eth0", v.String(), netif.Protocol)
		key := ipvsctl.ServiceKey{FWMark: 7, Family: ipvsctl.FamilyOf(v.Addr())}
		w.table = append(w.table, ipvsctl.LiveService{Service: ipvsctl.Service{Key: key}})
	}
	var rules []mark.Rule
	for _, r := range w.cfg.Services[0].Marked {
		rules = append(rules, mark.Rule{Mark: 7, Protocol: protoTCP, FromPort: r.FromPort, ToPort: r.ToPort, Addresses: []mark.Span{{From: r.From, To: r.To}}})
	}
	w.setMarks(rules)
	return w
}

func (w *ward) setMarks(rules []mark.Rule) {
	w.t.Helper()
	w.do(func() error {
		_, err := mark.Set(w.t.Context(), rules)
		return err
	})
}

func (w *ward) noMarks() { w.setMarks(nil) }

// remark has another program mark all packets after haldir did.
func (w *ward) remark(value uint32) {
	w.t.Helper()
	w.do(func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "late"})
		chain := conn.AddChain(&nftables.Chain{
			Table: table, Name: "c", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityFilter,
		})
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Immediate{Register: unix.NFT_REG_1, Data: binary.NativeEndian.AppendUint32(nil, value)},
			&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: unix.NFT_REG_1},
		}})
		return conn.Flush()
	})
}
