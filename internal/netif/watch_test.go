package netif

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func running(name string, index int) Link {
	return Link{Name: name, Index: index, Up: true, Carrier: true}
}

func held(index int, prefix string, proto uint8) heldAddress {
	p := netip.MustParsePrefix(prefix)
	return heldAddress{PresentAddress: PresentAddress{Address{"", p}, proto == Protocol, proto}, index: index}
}

// told writes events as lines.
func told(events []Event) []string {
	var lines []string
	for _, e := range events {
		line := e.Kind.String() + " " + e.Link.Name
		if e.Kind == AddressNew || e.Kind == AddressGone {
			line += fmt.Sprintf(" %s %#x", e.Address.Prefix, e.Address.Proto)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestTrackerTellsWhatChanged(t *testing.T) {
	down := Link{Name: "eth0", Index: 2, Up: true}
	off := Link{Name: "eth0", Index: 2, Carrier: true}
	tests := []struct {
		name string
		news func(*tracker) []Event
		want []string
	}{
		{"carrier lost", func(t *tracker) []Event { return t.link(down) }, []string{"link down eth0"}},
		{"set down", func(t *tracker) []Event { return t.link(off) }, []string{"link down eth0"}},
		{"same again", func(t *tracker) []Event { return t.link(running("eth0", 2)) }, nil},
		{"new and up", func(t *tracker) []Event { return t.link(running("eth1", 3)) }, []string{"link new eth1", "link up eth1"}},
		{"new and down", func(t *tracker) []Event { return t.link(Link{Name: "eth1", Index: 3}) }, []string{"link new eth1"}},
		{"gone with its address", func(t *tracker) []Event { return t.linkGone(2) },
			[]string{"address gone eth0 192.0.2.1/24 0x48", "link gone eth0"}},
		{"renamed", func(t *tracker) []Event { return t.link(running("lan", 2)) },
			[]string{"address gone eth0 192.0.2.1/24 0x48", "link gone eth0", "link new lan", "link up lan", "address new lan 192.0.2.1/24 0x48"}},
		{"address removed", func(t *tracker) []Event { return t.addressGone(held(2, "192.0.2.1/24", 0).key()) },
			[]string{"address gone eth0 192.0.2.1/24 0x48"}},
		{"another address removed", func(t *tracker) []Event { return t.addressGone(held(2, "192.0.2.1/32", 0).key()) }, nil},
		{"address replaced by somebody's", func(t *tracker) []Event { return t.address(held(2, "192.0.2.1/24", 0)) },
			[]string{"address new eth0 192.0.2.1/24 0x0"}},
		{"address of an unknown link", func(t *tracker) []Event { return t.address(held(9, "192.0.2.1/24", 0)) }, nil},
		{"events lost, link replaced", func(t *tracker) []Event { return t.sync([]Link{running("eth0", 7)}, nil) },
			[]string{"address gone eth0 192.0.2.1/24 0x48", "link gone eth0", "link new eth0", "link up eth0", "synced "}},
		{"events lost, nothing else", func(t *tracker) []Event {
			return t.sync([]Link{running("eth0", 2)}, []heldAddress{held(2, "192.0.2.1/24", Protocol)})
		}, []string{"synced "}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tr := newTracker()
			tr.link(running("eth0", 2))
			tr.address(held(2, "192.0.2.1/24", Protocol))
			if diff := cmp.Diff(test.want, told(test.news(tr))); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// Whoever follows the events alone knows the kernel's state after each
// reading, whatever was lost before it.
func TestEventsAddUpToTheState(t *testing.T) {
	drawLink := rapid.Custom(func(t *rapid.T) Link {
		return Link{
			Name:  rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"),
			Index: rapid.IntRange(1, 4).Draw(t, "index"), Up: true, Carrier: rapid.Bool().Draw(t, "carrier"),
		}
	})
	drawHeld := rapid.Custom(func(t *rapid.T) heldAddress {
		host := rapid.IntRange(1, 3).Draw(t, "host")
		return held(rapid.IntRange(1, 4).Draw(t, "link"), fmt.Sprintf("10.0.0.%d/24", host), rapid.SampledFrom([]uint8{0, Protocol}).Draw(t, "tag"))
	})
	rapid.Check(t, func(t *rapid.T) {
		tr := newTracker()
		up, addresses := map[string]bool{}, map[string]uint8{}
		follow := func(events []Event) {
			for _, e := range events {
				switch key := e.Link.Name + " " + e.Address.Prefix.String(); e.Kind {
				case LinkNew:
					up[e.Link.Name] = false
				case LinkGone:
					delete(up, e.Link.Name)
				case LinkUp, LinkDown:
					up[e.Link.Name] = e.Kind == LinkUp
				case AddressNew:
					addresses[key] = e.Address.Proto
				case AddressGone:
					delete(addresses, key)
				}
			}
		}
		for range rapid.IntRange(0, 20).Draw(t, "news") {
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				l := drawLink.Draw(t, "link")
				taken := func(other Link) bool { return other.Name == l.Name && other.Index != l.Index }
				if !slices.ContainsFunc(slices.Collect(maps.Values(tr.links)), taken) {
					follow(tr.link(l))
				}
			case 1:
				follow(tr.linkGone(rapid.IntRange(1, 4).Draw(t, "gone")))
			case 2:
				follow(tr.address(drawHeld.Draw(t, "address")))
			case 3:
				follow(tr.addressGone(drawHeld.Draw(t, "address").key()))
			}
		}
		links := rapid.SliceOfNDistinct(drawLink, 0, 3, func(l Link) string { return l.Name }).Draw(t, "links")
		links = slices.CompactFunc(slices.SortedFunc(slices.Values(links), func(a, b Link) int { return a.Index - b.Index }),
			func(a, b Link) bool { return a.Index == b.Index })
		names, wantUp := map[int]string{}, map[string]bool{}
		for _, l := range links {
			names[l.Index], wantUp[l.Name] = l.Name, l.Carrier
		}
		var present []heldAddress
		want := map[string]uint8{}
		for _, h := range rapid.SliceOfNDistinct(drawHeld, 0, 5, heldAddress.key).Draw(t, "held") {
			if name, ok := names[h.index]; ok {
				present = append(present, h)
				want[name+" "+h.Prefix.String()] = h.Proto
			}
		}
		follow(tr.sync(links, present))
		if diff := cmp.Diff(wantUp, up); diff != "" {
			t.Fatalf("links that are up (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, addresses); diff != "" {
			t.Fatalf("addresses and tags (-want +got):\n%s", diff)
		}
	})
}
