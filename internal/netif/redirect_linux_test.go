package netif

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/haldir-lb/haldir/internal/testenv"
)

func redirect(protocol, at string, to uint16) Redirect {
	a := netip.MustParseAddrPort(at)
	return Redirect{protocol, a.Addr(), a.Port(), to}
}

func readTable(t *testing.T) Redirects {
	t.Helper()
	got, err := ReadRedirects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRedirectsAreSetReadBackAndRemoved(t *testing.T) {
	testenv.Root(t)
	t.Cleanup(func() { _ = SetRedirects(context.Background(), nil) })
	if got := readTable(t); got.Present {
		t.Fatalf("before: %+v", got)
	}
	sets := [][]Redirect{
		{redirect("tcp", "192.0.2.100:80", 8080), redirect("udp", "[2001:db8::100]:53", 5353), redirect("sctp", "192.0.2.101:2905", 2905)},
		{redirect("tcp", "192.0.2.100:80", 8081)},
		nil,
		nil,
	}
	for _, want := range sets {
		for range 2 {
			if err := SetRedirects(t.Context(), want); err != nil {
				t.Fatalf("%v: %v", want, err)
			}
			got := readTable(t)
			equate := cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}
			if d := cmp.Diff(Redirects{Present: len(want) > 0, Rules: sortedRedirects(want)}, got, equate); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		}
	}
}

func TestManyRedirectsAreOneTransaction(t *testing.T) {
	testenv.Root(t)
	t.Cleanup(func() { _ = SetRedirects(context.Background(), nil) })
	var many []Redirect
	for port := uint16(1); port <= 500; port++ {
		many = append(many, Redirect{"tcp", netip.MustParseAddr("192.0.2.100"), port, port + 10000})
	}
	if err := SetRedirects(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	if got := readTable(t); !got.Are(many) {
		t.Errorf("%d redirects are in force, and %d other things, want %d alone", len(got.Rules), got.Strange, len(many))
	}
	// One that is impossible changes none.
	if err := SetRedirects(t.Context(), append(many[:1:1], Redirect{Protocol: "icmp"})); err == nil {
		t.Error("an impossible redirect is accepted")
	}
	if got := readTable(t); !got.Are(many) {
		t.Errorf("after a refusal %d redirects are in force", len(got.Rules))
	}
}

func TestWhatElseIsInTheTableIsSeenAndOtherTablesAreNotTouched(t *testing.T) {
	testenv.Root(t)
	want := []Redirect{redirect("tcp", "192.0.2.100:80", 8080)}
	if err := SetRedirects(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	theirs := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "theirs"})
	ours := &nftables.Table{Family: nftables.TableFamilyINet, Name: RedirectTable}
	chain := &nftables.Chain{Name: redirectChain, Table: ours}
	exprs, err := redirectExprs(want[0])
	if err != nil {
		t.Fatal(err)
	}
	conn.AddRule(&nftables.Rule{Table: ours, Chain: chain, Exprs: append(exprs[:len(exprs)-1:len(exprs)-1], &expr.Verdict{Kind: expr.VerdictDrop})})
	conn.AddChain(&nftables.Chain{Name: "idle", Table: ours})
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.DelTable(theirs)
		if err := errors.Join(conn.Flush(), SetRedirects(context.Background(), nil)); err != nil {
			t.Error(err)
		}
	})
	if got := readTable(t); got.Strange != 2 || len(got.Rules) != 1 {
		t.Errorf("%+v, want one redirect and two strange things", got)
	}
	if err := SetRedirects(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if got := readTable(t); !got.Are(want) {
		t.Errorf("after setting it again: %+v", got)
	}
	if _, err := conn.ListTableOfFamily("theirs", nftables.TableFamilyINet); err != nil {
		t.Errorf("somebody else's table: %v", err)
	}
}
