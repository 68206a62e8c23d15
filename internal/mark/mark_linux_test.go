package mark

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func set(t *testing.T, wantChanged bool, rules ...Rule) {
	t.Helper()
	changed, err := Set(t.Context(), rules)
	if err != nil || changed != wantChanged {
		t.Errorf("Set: changed %v, %v; want %v", changed, err, wantChanged)
	}
}

// foreign makes a table of somebody else's that counts the packets with a mark,
// and returns how to read the count.
func foreign(t *testing.T, conn *nftables.Conn, mark uint32) func() uint64 {
	return foreignOf(t, conn, nftables.TableFamilyIPv4, mark)
}

func foreignOf(t *testing.T, conn *nftables.Conn, family nftables.TableFamily, mark uint32) func() uint64 {
	table := conn.AddTable(&nftables.Table{Family: family, Name: "foreign"})
	chain := conn.AddChain(&nftables.Chain{
		Name: "count", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{byte(mark), 0, 0, 0}},
		&expr.Counter{},
	}})
	must(t, conn.Flush())
	return func() uint64 {
		rules, err := conn.GetRules(table, chain)
		must(t, err)
		for _, e := range rules[0].Exprs {
			if c, ok := e.(*expr.Counter); ok {
				return c.Packets
			}
		}
		t.Fatal("the foreign rule has lost its counter")
		return 0
	}
}

// TestPacketsAreMarked sends datagrams over lo to addresses and ports within and
// beside a rule.
func TestPacketsAreMarked(t *testing.T) {
	testenv.Root(t)
	testenv.NewNetns(t).Do(t, func() {
		conn, err := nftables.New()
		must(t, err)
		marked := foreign(t, conn, 7)
		set(t, false)
		rules := []Rule{{Mark: 7, Protocol: unix.IPPROTO_UDP, FromPort: 5000, ToPort: 5009, Addresses: []Span{span("127.0.0.10", "127.0.0.19")}}}
		set(t, true, rules...)
		send := func(to string) uint64 {
			before := marked()
			// What was received has passed every rule.
			l, err := net.ListenPacket("udp4", to)
			must(t, err)
			defer l.Close()
			c, err := net.Dial("udp4", to)
			must(t, err)
			defer c.Close()
			_, err = c.Write([]byte("x"))
			must(t, err)
			must(t, l.SetReadDeadline(time.Now().Add(20*time.Second)))
			_, _, err = l.ReadFrom(make([]byte, 8))
			must(t, err)
			return marked() - before
		}
		for to, want := range map[string]uint64{
			"127.0.0.10:5000": 1, "127.0.0.19:5009": 1, "127.0.0.15:5004": 1,
			"127.0.0.9:5000": 0, "127.0.0.20:5000": 0, "127.0.0.10:4999": 0, "127.0.0.10:5010": 0,
		} {
			if got := send(to); got != want {
				t.Errorf("%d packets to %s were marked, want %d", got, to, want)
			}
		}
		set(t, false, rules...)
		rules[0].Addresses = append(rules[0].Addresses, span("127.0.0.40", "127.0.0.40"))
		set(t, true, rules...)
		if got := send("127.0.0.40:5000"); got != 1 {
			t.Errorf("an address that was added is not marked")
		}

		// Somebody takes an element away: it is noticed and put back.
		table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: TableName}
		addresses, err := conn.GetSetByName(table, rules[0].set())
		must(t, err)
		a, b := netip.MustParseAddr("127.0.0.40"), netip.MustParseAddr("127.0.0.41")
		must(t, conn.SetDeleteElements(addresses, []nftables.SetElement{{Key: a.AsSlice()}, {Key: b.AsSlice(), IntervalEnd: true}}))
		must(t, conn.Flush())
		set(t, true, rules...)
		set(t, false, rules...)

		set(t, true)
		set(t, false)
		if got := send("127.0.0.10:5000"); got != 0 {
			t.Error("packets are marked without rules")
		}
		tables, err := conn.ListTables()
		must(t, err)
		if len(tables) != 1 || tables[0].Name != "foreign" {
			t.Errorf("tables left: %d, want the foreign one alone", len(tables))
		}
	})
}

func TestManyAddresses(t *testing.T) {
	testenv.Root(t)
	testenv.NewNetns(t).Do(t, func() {
		r := Rule{Mark: 7, Protocol: unix.IPPROTO_TCP, FromPort: 80, ToPort: 80}
		for i := range 1000 {
			a := netip.AddrFrom4([4]byte{10, 1, byte(i >> 7), byte(i<<1) | 1})
			r.Addresses = append(r.Addresses, Span{a, a})
		}
		set(t, true, r)
		set(t, false, r)
	})
}
