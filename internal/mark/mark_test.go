package mark

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func span(from, to string) Span { return Span{netip.MustParseAddr(from), netip.MustParseAddr(to)} }

func TestCanonical(t *testing.T) {
	one := Rule{Mark: 7, Protocol: 6, FromPort: 80, ToPort: 80}
	with := func(r Rule, spans ...Span) Rule { r.Addresses = spans; return r }
	other := Rule{Mark: 3, Protocol: 17, FromPort: 53, ToPort: 53}
	got := canonical([]Rule{
		with(one, span("192.0.2.10", "192.0.2.19")),
		with(one, span("192.0.2.1", "192.0.2.4")),
		with(other, span("192.0.2.1", "192.0.2.1")),
		with(one, span("192.0.2.20", "192.0.2.29"), span("192.0.2.12", "192.0.2.14"), span("192.0.2.6", "192.0.2.6")),
	})
	want := []Rule{
		with(other, span("192.0.2.1", "192.0.2.1")),
		with(one, span("192.0.2.1", "192.0.2.4"), span("192.0.2.6", "192.0.2.6"), span("192.0.2.10", "192.0.2.29")),
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if got := canonical(nil); len(got) != 0 {
		t.Errorf("of nothing %v", got)
	}
}
