package netif

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// fakeRouting is a kernel's routing in memory.
type fakeRouting struct {
	routes []heldRoute
	rules  []heldRule
	refuse map[string]error
	lose   bool // what is added does not stay
}

func (k *fakeRouting) readRouting(context.Context) ([]heldRoute, []heldRule, error) {
	return slices.Clone(k.routes), slices.Clone(k.rules), nil
}

func (k *fakeRouting) setRoute(r VirtualRoute, replace bool) error {
	i := slices.IndexFunc(k.routes, func(h heldRoute) bool { return h.slot() == r.slot() })
	switch {
	case k.refuse[r.String()] != nil:
		return k.refuse[r.String()]
	case k.lose:
	case i >= 0 && replace:
		k.routes[i] = heldRoute{r, true}
	case i >= 0:
		return errors.New("file exists")
	default:
		k.routes = append(k.routes, heldRoute{r, true})
	}
	return nil
}

func (k *fakeRouting) removeRoute(r VirtualRoute) error {
	k.routes = slices.DeleteFunc(k.routes, func(h heldRoute) bool { return h.VirtualRoute == r })
	return nil
}

func (k *fakeRouting) addRule(r VirtualRule) error {
	k.rules = append(k.rules, heldRule{r, true})
	return nil
}

func (k *fakeRouting) removeRule(r VirtualRule) error {
	k.rules = slices.DeleteFunc(k.rules, func(h heldRule) bool { return h.VirtualRule == r })
	return nil
}

var drawRoute = rapid.Custom(func(t *rapid.T) VirtualRoute {
	return VirtualRoute{
		Kind:        Unicast,
		Destination: netip.MustParsePrefix(rapid.SampledFrom([]string{"0.0.0.0/0", "203.0.113.0/24", "198.51.100.0/24"}).Draw(t, "to")),
		Gateway:     netip.MustParseAddr(rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2"}).Draw(t, "via")),
		Interface:   rapid.SampledFrom([]string{"", "eth0"}).Draw(t, "dev"),
		Table:       rapid.SampledFrom([]int{MainTable, 100}).Draw(t, "table"),
		Metric:      rapid.IntRange(0, 1).Draw(t, "metric"),
	}
})

var drawRule = rapid.Custom(func(t *rapid.T) VirtualRule {
	return VirtualRule{Table: rapid.IntRange(100, 101).Draw(t, "table"), Priority: rapid.IntRange(1, 3).Draw(t, "priority")}
})

// TestRoutingBecomesWhatIsDesired says of any kernel and any wish: afterwards
// everything wanted is there or named as failed, nothing of another program has
// changed, nothing of ours is left over, and a second time does nothing.
func TestRoutingBecomesWhatIsDesired(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kernel := &fakeRouting{}
		taken := map[slot]bool{}
		for _, r := range rapid.SliceOfN(drawRoute, 0, 5).Draw(t, "present") {
			if r.Interface = "eth0"; !taken[r.slot()] {
				taken[r.slot()] = true
				kernel.routes = append(kernel.routes, heldRoute{r, rapid.Bool().Draw(t, "ours")})
			}
		}
		for i, r := range rapid.SliceOfN(drawRule, 0, 3).Draw(t, "rules present") {
			r.Priority += 10 * i
			kernel.rules = append(kernel.rules, heldRule{r, rapid.Bool().Draw(t, "our rule")})
		}
		foreign := func() string {
			text := ""
			for _, h := range kernel.routes {
				if !h.ours {
					text += h.String() + "\n"
				}
			}
			for _, h := range kernel.rules {
				if !h.ours {
					text += h.String() + "\n"
				}
			}
			return text
		}
		before := foreign()
		desired := Routing{Routes: rapid.SliceOfN(drawRoute, 0, 5).Draw(t, "wanted"), Rules: rapid.SliceOfN(drawRule, 0, 3).Draw(t, "rules")}
		result, err := reconcileRouting(t.Context(), kernel, desired)
		if err != nil {
			t.Fatal(err)
		}
		if after := foreign(); after != before {
			t.Errorf("of other programs:\n%swant\n%s", after, before)
		}
		wanted := map[slot]VirtualRoute{}
		for _, d := range slices.Backward(desired.Routes) {
			wanted[d.slot()] = d
		}
		for _, d := range wanted {
			there := slices.ContainsFunc(kernel.routes, func(h heldRoute) bool { return h.serves(d) })
			named := slices.ContainsFunc(result.Failed, func(e *RoutingError) bool { return e.What == "route "+d.String() })
			if there == named {
				t.Errorf("%s: there %v, named as failed %v", d, there, named)
			}
		}
		for _, h := range kernel.routes {
			if _, kept := wanted[h.slot()]; h.ours && !kept {
				t.Errorf("left over: %s", h)
			}
		}
		again, err := reconcileRouting(t.Context(), kernel, desired)
		if err != nil || len(again.Added)+len(again.Removed) != 0 {
			t.Errorf("the second time: %+v, %v", again, err)
		}
	})
}

func TestAChangeThatTheKernelDoesNotKeepIsAFailure(t *testing.T) {
	kernel := &fakeRouting{lose: true}
	d := VirtualRoute{Destination: netip.MustParsePrefix("203.0.113.0/24"), Interface: "eth0"}
	result, err := reconcileRouting(t.Context(), kernel, Routing{Routes: []VirtualRoute{d}})
	if err != nil || len(result.Failed) != 1 || !strings.Contains(result.Failed[0].Error(), "did not keep") {
		t.Errorf("result %+v, %v, want it to say that the route did not stay", result, err)
	}
}
