package vrrp_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
)

// dual is one group of a router over IPv4, which leads, and one over IPv6.
func dual(priority, priority6 uint8) []vrrp.RouterConfig {
	four, six := config(priority), config6(priority6)
	four.Group, six.Name, six.Group = "edge", "edge/ipv6", "edge"
	return []vrrp.RouterConfig{four, six}
}

// groupNode is a node whose notes name the router too.
func (w *world) groupNode(name string, addresses ...netip.Addr) *node {
	return w.with(w.lan.Host(name, "eth0", addresses...), func(t vrrp.Transition) {
		w.note("%s %s: %s to %s: %s", name, t.Router, t.From, t.To, t.Reason)
	})
}

// transitions returns what changed since the last look, without the adverts.
func (w *world) transitions() []string {
	return slices.DeleteFunc(w.took(), func(line string) bool { return !strings.Contains(line, ": ") })
}

func (w *world) wantTransitions(want ...string) {
	w.Helper()
	if got := w.transitions(); !slices.Equal(got, want) {
		w.Errorf("transitions:\n got %q\nwant %q", got, want)
	}
}

// roles returns the states of a node's routers.
func (n *node) roles() []vrrp.State {
	n.w.Helper()
	all, err := n.Status(n.w.Context())
	if err != nil {
		n.w.Fatal(err)
	}
	var states []vrrp.State
	for _, s := range all {
		states = append(states, s.State)
	}
	return states
}

func (w *world) wantRoles(state vrrp.State, nodes ...*node) {
	w.Helper()
	for _, n := range nodes {
		if got := n.roles(); len(got) == 0 || slices.ContainsFunc(got, func(s vrrp.State) bool { return s != state }) {
			w.Errorf("a group is %v, want %v as a whole", got, state)
		}
	}
}

// twins are two nodes with the group, of which a has just become master.
func (w *world) twins(a, b []vrrp.RouterConfig) (na, nb *node) {
	na, nb = w.groupNode("a", alpha, alpha6), w.groupNode("b", beta, beta6)
	na.Set(a, nil)
	nb.Set(b, nil)
	time.Sleep(4 * time.Second)
	w.wantRoles(vrrp.Master, na)
	w.wantRoles(vrrp.Backup, nb)
	w.took()
	return na, nb
}

// The roles of all members change in one instant, after the adverts of all.
func TestGroupRisesAsOne(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.groupNode("a", alpha, alpha6)
		// The skew times differ: the later one counts.
		a.Set(dual(200, 100), nil)
		w.wantTransitions("0s a edge: init to backup: start", "0s a edge/ipv6: init to backup: start")
		time.Sleep(4 * time.Second)
		w.want("3.609375s a sends 200", "3.609375s a sends 100", "3.609375s a edge: backup to master: master silent",
			"3.609375s a edge/ipv6: backup to master: master silent")
	})
}

func TestGroupOfOwnersIsMasterAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.groupNode("a", alpha, alpha6)
		a.Set(dual(255, 255), nil)
		w.wantTransitions("0s a edge: init to backup: start", "0s a edge/ipv6: init to backup: start",
			"0s a edge: backup to master: address owner", "0s a edge/ipv6: backup to master: address owner")
	})
}

// Whoever cannot hear the master in one family alone takes nothing over, and says so.
func TestGroupFollowsTheMasterThatAnyMemberHears(t *testing.T) {
	for _, family := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		t.Run(family.String(), func(t *testing.T) {
			inBubble(t, func(w *world) {
				a, b := w.twins(dual(200, 200), dual(100, 100))
				w.lan.SetFamilyLoss(func(_, to string, f vrrp.Family) bool { return to == "b" && f == family })
				time.Sleep(20 * time.Second)
				w.wantTransitions()
				w.wantRoles(vrrp.Master, a)
				all, _ := b.Status(w.Context())
				deaf := all[family/6] // 4: the first, 6: the second
				if want := "hears no master, while another member of the group hears one"; deaf.Problem != want {
					w.Errorf("problem of %s = %q, want %q", deaf.Name, deaf.Problem, want)
				}
				// Both silent: it is dead.
				w.lan.SetFamilyLoss(func(_, to string, _ vrrp.Family) bool { return to == "b" })
				time.Sleep(4 * time.Second)
				w.wantRoles(vrrp.Master, b)
			})
		})
	}
}

func TestGroupFallsAsOne(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.twins(dual(150, 150), dual(100, 100))
		b.Set(dual(200, 200), nil)
		time.Sleep(4 * time.Second)
		got := w.transitions()
		slices.Sort(got)
		want := []string{
			"6.6328125s a edge/ipv6: master to backup: the group gave way", "6.6328125s a edge: master to backup: higher priority heard",
			"6.6328125s b edge/ipv6: backup to master: master silent", "6.6328125s b edge/ipv6: master to master: second master heard, staying master",
			"6.6328125s b edge: backup to master: master silent", "6.6328125s b edge: master to master: second master heard, staying master",
		}
		if !slices.Equal(got, want) {
			w.Errorf("transitions:\n got %q\nwant %q", got, want)
		}
		w.wantRoles(vrrp.Master, b)
		w.wantRoles(vrrp.Backup, a)
	})
}

// After a partition the leader decides, even where every family by itself would
// decide otherwise: by addresses, or by priorities that contradict one another.
func TestLeaderDecidesBetweenTwoMasters(t *testing.T) {
	high6, low6 := netip.MustParseAddr("fe80::ff"), netip.MustParseAddr("fe80::3")
	for name, test := range map[string]struct{ a, b []vrrp.RouterConfig }{
		"equal priorities, contrary addresses": {dual(100, 100), dual(100, 100)},
		"contrary priorities":                  {dual(100, 200), dual(200, 100)},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				a := w.groupNode("a", alpha, high6) // the lower address in IPv4, the higher in IPv6
				b := w.groupNode("b", beta, low6)
				w.lan.Partition([]string{"a"}, []string{"b"})
				a.Set(test.a, nil)
				b.Set(test.b, nil)
				time.Sleep(5 * time.Second)
				w.wantRoles(vrrp.Master, a, b)
				w.lan.Heal()
				time.Sleep(2 * time.Second)
				w.wantRoles(vrrp.Backup, a)
				w.wantRoles(vrrp.Master, b)
				w.took()
				time.Sleep(time.Minute)
				w.wantTransitions()
			})
		})
	}
}

// Without preemption the group that was master first stays, with both families, and
// nobody speaks of it again.
func TestGroupGivesBackAsOne(t *testing.T) {
	inBubble(t, func(w *world) {
		keep := func(priority uint8) []vrrp.RouterConfig {
			all := dual(priority, priority)
			for i := range all {
				all[i].Preempt = false
			}
			return all
		}
		a, b := w.twins(keep(150), keep(100))
		b.Set(keep(200), nil)
		w.lan.Partition([]string{"a"}, []string{"b"})
		time.Sleep(5 * time.Second)
		w.wantRoles(vrrp.Master, a, b)
		w.lan.Heal()
		time.Sleep(3 * time.Second)
		w.wantRoles(vrrp.Master, a)
		w.wantRoles(vrrp.Backup, b)
		w.took()
		time.Sleep(time.Minute)
		w.wantTransitions()
	})
}

// Where the leaders do not hear each other, the others end the rivalry.
func TestFollowerYieldsWhereTheLeaderHearsNobody(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.groupNode("a", alpha, alpha6)
		b := w.groupNode("b", beta, beta6)
		w.lan.SetFamilyLoss(func(string, string, vrrp.Family) bool { return true })
		a.Set(dual(200, 200), nil)
		b.Set(dual(100, 100), nil)
		time.Sleep(5 * time.Second)
		w.wantRoles(vrrp.Master, a, b)
		w.lan.SetFamilyLoss(func(_, _ string, f vrrp.Family) bool { return f == vrrp.IPv4 })
		time.Sleep(3 * time.Second)
		w.wantRoles(vrrp.Backup, b)
		w.wantRoles(vrrp.Master, a)
		w.took()
		time.Sleep(time.Minute)
		w.wantTransitions()
	})
}

// A member that cannot run has the others hand over, and all come back together.
func TestGroupRunsAsOne(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.twins(dual(200, 200), dual(100, 100))
		a.host.SetAddresses(alpha) // no link-local one any more
		time.Sleep(6 * time.Second)
		w.wantRoles(vrrp.Init, a)
		w.wantRoles(vrrp.Master, b)
		all, _ := a.Status(w.Context())
		if want := "waits for edge/ipv6 of the same group: "; !strings.HasPrefix(all[0].Problem, want) {
			w.Errorf("problem of the member that could run = %q, want %q…", all[0].Problem, want)
		}
		got := w.transitions()
		for _, want := range []string{"a edge/ipv6: master to init: no source address", "a edge: master to leaving: the group cannot run"} {
			if !slices.ContainsFunc(got, func(line string) bool { return strings.HasSuffix(line, want) }) {
				w.Errorf("%q lacks %q", got, want)
			}
		}
		a.host.SetAddresses(alpha, alpha6)
		time.Sleep(5 * time.Second)
		w.wantRoles(vrrp.Master, a)
		w.wantRoles(vrrp.Backup, b)
	})
}

// A planned stop is of all, each with its own last advert.
func TestGroupLeavesAsOne(t *testing.T) {
	inBubble(t, func(w *world) {
		a, _ := w.twins(dual(200, 200), dual(100, 100))
		if err := a.Shutdown(w.Context()); err != nil {
			w.Fatal(err)
		}
		time.Sleep(time.Second)
		lines := w.took()
		if n := len(slices.DeleteFunc(slices.Clone(lines), func(s string) bool { return !strings.HasSuffix(s, "a sends 0") })); n != 2 {
			w.Errorf("%d adverts of priority 0, want one over each family: %q", n, lines)
		}
		for _, want := range []string{"4s a edge: master to leaving: shutdown", "4s a edge/ipv6: master to leaving: shutdown"} {
			if !slices.Contains(lines, want) {
				w.Errorf("%q lacks %q", lines, want)
			}
		}
	})
}

// A member that a reload adds has the role of the others at once, and one that it
// takes away hands over alone.
func TestMembershipChangesLeaveTheRoleAlone(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.groupNode("a", alpha, alpha6)
		a.Set(dual(200, 200)[:1], nil)
		time.Sleep(4 * time.Second)
		w.took()
		a.Set(dual(200, 200), nil)
		w.wantTransitions("4s a edge/ipv6: init to backup: start", "4s a edge/ipv6: backup to master: the group is master")
		a.Set(dual(200, 200)[:1], nil)
		w.wantTransitions("4s a edge/ipv6: master to leaving: removed from the configuration")
		time.Sleep(10 * time.Second)
		w.wantTransitions("8s a edge/ipv6: leaving to init: no successor heard")
		w.wantRoles(vrrp.Master, a)
	})
}

// A member that held the others back and leaves the group does so no longer.
func TestMemberThatLeavesHoldsNobodyBack(t *testing.T) {
	inBubble(t, func(w *world) {
		_, b := w.twins(dual(200, 200), dual(100, 100))
		w.lan.SetFamilyLoss(func(_, to string, f vrrp.Family) bool { return to == "b" && f == vrrp.IPv6 })
		time.Sleep(5 * time.Second)
		w.wantRoles(vrrp.Backup, b)
		b.Set(dual(100, 100)[1:], nil)
		w.wantTransitions("9s b edge: backup to init: removed from the configuration", "9s b edge/ipv6: backup to master: master silent",
			"9s a edge/ipv6: master to master: second master heard, staying master")
	})
}

// A speaker that follows one that died goes on as a group, even if its predecessor
// died in the middle of a rise.
func TestGroupResumesAsOne(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.groupNode("a", alpha, alpha6)
		known := vrrp.Resume{State: vrrp.Master, Since: w.start, Silent: time.Millisecond}
		half := vrrp.Resume{State: vrrp.Backup, Since: w.start, Master: beta6, MasterInterval: time.Second, Silent: time.Millisecond}
		a.Set(dual(200, 200), map[string]vrrp.Resume{"edge": known, "edge/ipv6": half})
		w.took()
		w.wantRoles(vrrp.Master, a)
	})
}

// A hand-over on request is of all members, whichever was named.
func TestGroupHandsOverAsOne(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.twins(dual(200, 200), dual(100, 100))
		a.Handover([]string{"edge/ipv6"})
		w.wantTransitions("4s a edge/ipv6: master to leaving: handed over on request", "4s a edge: master to leaving: handed over on request")
		time.Sleep(3 * time.Second)
		w.wantRoles(vrrp.Backup, a)
		w.wantRoles(vrrp.Master, b)
	})
}

// What makes one member ineligible makes the group so, and it comes back as one.
func TestGroupIsEligibleAsOne(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.twins(dual(200, 200), dual(100, 100))
		cfg := dual(200, 200)
		cfg[1].Ineligible = vrrp.ReasonMaintenance
		a.Set(cfg, nil)
		w.wantTransitions("4s a edge/ipv6: master to leaving: maintenance", "4s a edge: master to leaving: maintenance")
		time.Sleep(3 * time.Second)
		w.wantRoles(vrrp.Init, a)
		w.wantRoles(vrrp.Master, b)
		all, _ := a.Status(w.Context())
		if want := "waits for edge/ipv6 of the same group: maintenance"; all[0].Problem != want {
			w.Errorf("problem = %q, want %q", all[0].Problem, want)
		}
		a.Set(dual(200, 200), nil)
		time.Sleep(5 * time.Second)
		w.wantRoles(vrrp.Master, a)
		w.wantRoles(vrrp.Backup, b)
	})
}
