package netif

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/nftables"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// eachIsReadBack sets some sets of rules one after the other, and wants each read
// back as it was set; the last one is empty.
func eachIsReadBack[T Rule[T]](t *testing.T, read func(context.Context) (Rules[T], error), set func(context.Context, []T) error, sets ...[]T) {
	t.Helper()
	t.Cleanup(func() { _ = set(context.Background(), nil) })
	for _, want := range append(sets, nil) {
		for range 2 {
			if err := set(t.Context(), want); err != nil {
				t.Fatalf("%v: %v", want, err)
			}
			got, err := read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			equate := cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}
			if d := cmp.Diff(Rules[T]{Present: len(want) > 0, Rules: sortedRules(want)}, got, equate); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		}
	}
}

func TestClampsAreSetReadBackAndRemoved(t *testing.T) {
	testenv.Root(t)
	four, six := netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("2001:db8::100")
	eachIsReadBack(t, ReadClamps, SetClamps,
		[]Clamp{{four, 80, 1440}, {six, 80, 1400}, {four, 0, 1436}}, []Clamp{{four, 80, 1400}})
	if err := SetClamps(t.Context(), []Clamp{{four, 80, 0}}); err == nil {
		t.Error("a segment size of 0 is accepted")
	}
}

func TestSilencesAreSetReadBackAndRemoved(t *testing.T) {
	testenv.Root(t)
	one, other := Silence{netip.MustParseAddr("192.0.2.100")}, Silence{netip.MustParseAddr("192.0.2.101")}
	can, err := CanSilence()
	if err != nil {
		t.Fatal(err)
	}
	if !can {
		var unsupported *UnsupportedError
		if err := SetSilences(t.Context(), []Silence{one}); !errors.As(err, &unsupported) {
			t.Errorf("error %v, want an UnsupportedError", err)
		}
		if testenv.Required("firewall") {
			t.Fatal("a kernel with rules for ARP is required here")
		}
		t.Skip("this kernel has no rules for ARP")
	}
	eachIsReadBack(t, ReadSilences, SetSilences, []Silence{other, one}, []Silence{one})
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	if tables, err := conn.ListTablesOfFamily(nftables.TableFamilyARP); err != nil || len(tables) != 0 {
		t.Errorf("%d tables are left (%v)", len(tables), err)
	}
	if err := SetSilences(t.Context(), []Silence{{netip.MustParseAddr("2001:db8::1")}}); err == nil {
		t.Error("a silence about an IPv6 address is accepted")
	}
}
