// Package mark has netfilter put firewall marks on packets to virtual addresses,
// so that one IPVS service takes them all. It owns one nftables table of each family,
// which it replaces as a whole in one transaction, and touches no other.
package mark

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Rule marks the packets of a protocol to addresses and ports.
type Rule struct {
	Mark     uint32 // not 0
	Protocol uint8  // the number of the IP protocol
	// FromPort and ToPort are both included.
	FromPort, ToPort uint16
	Addresses        []Span
}

// Span is a range of addresses of one family, both ends included.
type Span struct{ From, To netip.Addr }

// ofFamily returns the parts of rules that are of IPv6, or of IPv4.
func ofFamily(rules []Rule, six bool) []Rule {
	var out []Rule
	for _, r := range rules {
		var spans []Span
		for _, s := range r.Addresses {
			if s.From.Is6() == six {
				spans = append(spans, s)
			}
		}
		if r.Addresses = spans; len(spans) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// canonical sorts rules of one family, joins those that differ in their addresses alone, and
// joins spans that touch or overlap: the kernel refuses sets with overlaps.
func canonical(rules []Rule) []Rule {
	type head struct {
		mark     uint32
		protocol uint8
		from, to uint16
	}
	spans := make(map[head][]Span)
	for _, r := range rules {
		h := head{r.Mark, r.Protocol, r.FromPort, r.ToPort}
		spans[h] = append(spans[h], r.Addresses...)
	}
	out := make([]Rule, 0, len(spans))
	for h, s := range spans {
		out = append(out, Rule{Mark: h.mark, Protocol: h.protocol, FromPort: h.from, ToPort: h.to, Addresses: merged(s)})
	}
	slices.SortFunc(out, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Mark, b.Mark), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.FromPort, b.FromPort), cmp.Compare(a.ToPort, b.ToPort))
	})
	return out
}

func merged(spans []Span) []Span {
	spans = slices.SortedFunc(slices.Values(spans), func(a, b Span) int { return a.From.Compare(b.From) })
	var out []Span
	for _, s := range spans {
		if n := len(out); n > 0 && !out[n-1].To.Next().Less(s.From) {
			if out[n-1].To.Less(s.To) {
				out[n-1].To = s.To
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// set is the name of the set with the addresses of a rule.
func (r Rule) set() string {
	return fmt.Sprintf("mark-%d-%d-%d-%d", r.Mark, r.Protocol, r.FromPort, r.ToPort)
}
