package director

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// meddle changes the table as ipvsadm would.
func meddle(t *testing.T, h *fakeHost, ops ...ipvsctl.Op) {
	t.Helper()
	for i, err := range h.table.Apply(t.Context(), ops) {
		if err != nil {
			t.Fatalf("%v: %v", ops[i], err)
		}
	}
}

// TestDriftIsNoticedShownAndUndone: within two looks, long before the next sweep.
func TestDriftIsNoticedShownAndUndone(t *testing.T) {
	weight := func(h *fakeHost) ipvsctl.Op {
		live, _ := h.table.Read(t.Context())
		op := ipvsctl.Op{Kind: ipvsctl.UpdateDest, Service: ipvsctl.Service{Key: webKey}, Dest: live[0].Dests[0].Dest}
		op.Dest.Weight = 77
		return op
	}
	for name, c := range map[string]struct {
		op   func(*fakeHost) ipvsctl.Op
		want []string
	}{
		"another weight": {weight, []string{"ipvs updating destination 192.0.2.11:80 of service tcp 192.0.2.100:80"}},
		"the service deleted": {
			func(*fakeHost) ipvsctl.Op {
				return ipvsctl.Op{Kind: ipvsctl.DeleteService, Service: ipvsctl.Service{Key: webKey}}
			},
			[]string{
				"ipvs adding service tcp 192.0.2.100:80", "ipvs adding destination 192.0.2.11:80 to service tcp 192.0.2.100:80",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := running(t)
				defer n.end()
				settle(2 * sweepEvery)
				n.host.did()
				_, last := n.events(0)
				meddle(t, n.host, c.op(n.host))
				settle(2 * driftEvery)
				if lines, _ := n.events(last); len(lines) != 1 || !strings.HasPrefix(lines[0], "drift ipvs: undone") || !strings.Contains(lines[0], strings.TrimPrefix(c.want[0], "ipvs ")) {
					t.Errorf("the journal has %q, want one drift with its first repair", lines)
				}
				got := n.host.did()
				for _, want := range c.want {
					if !slices.Contains(got, want) {
						t.Errorf("it did %q, want %q among it", got, want)
					}
				}
				status, err := n.director.Status(t.Context())
				if d := status.Drift; err != nil || d == nil || d.Times != 1 || !slices.Contains(d.Repairs, strings.TrimPrefix(c.want[0], "ipvs ")) {
					t.Errorf("status says %+v, %v, want one drift with its repair", d, err)
				}
			})
		})
	}
}

func TestAForeignServiceIsShownAndLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		settle(2 * sweepEvery)
		n.host.did()
		foreign := webKey
		foreign.Port = 8443
		meddle(t, n.host, ipvsctl.Op{Kind: ipvsctl.AddService, Service: ipvsctl.Service{Key: foreign, Scheduler: "rr"}})
		settle(2 * driftEvery)
		wantCalls(t, n.host, "after somebody added a service")
		status, err := n.director.Status(t.Context())
		if err != nil || !slices.Contains(status.Foreign, foreign.String()) || status.Drift != nil {
			t.Errorf("foreign %v, drift %+v, %v, want the service shown and no drift", status.Foreign, status.Drift, err)
		}
	})
}

// TestAChangeReadsWhatItTouchesAlone: the cost of a change does not grow with the
// table.
func TestAChangeReadsWhatItTouchesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := newFakeHost()
		table := ipvsctl.Table{}
		configured := make(map[ipvsctl.ServiceKey]bool)
		for port := range uint16(100) {
			key := webKey
			key.Port = 1000 + port
			configured[key] = true
			table = append(table, ipvsctl.Service{Key: key, Scheduler: "rr", Dests: []ipvsctl.Dest{
				{Key: ipvsctl.DestKey{Address: webKey.Address.Next(), Port: key.Port}, Weight: 1},
			}})
		}
		record, err := openRecord(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		a := newApplier(host, record, &syncRecord{}, quiet(), func(journal.Event) {})
		w := work{desired: Desired{Table: table.Canonical()}, configured: configured, generation: 1}
		if _, err := a.setTable(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		host.did()
		host.table.Reads()
		next := slices.Clone(w.desired.Table)
		next[7].Dests = slices.Clone(next[7].Dests)
		next[7].Dests[0].Weight = 9
		w.desired.Table = next
		if _, err := a.setTable(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if got := host.did(); len(got) != 1 || !strings.HasPrefix(got[0], "ipvs updating destination") {
			t.Errorf("one weight did %q, want one update", got)
		}
		if n := host.table.Reads(); n != 2 {
			t.Errorf("one weight read %d services, want its own before and after", n)
		}
		if _, err := a.setTable(t.Context(), w); err != nil || host.table.Reads() != 0 {
			t.Errorf("the same again read the table, %v", err)
		}
	})
}

// TestSysctlsAreKept: a module that was loaded again has its defaults.
func TestSysctlsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		want := slices.Clone(n.host.sysctls)
		n.host.mu.Lock()
		n.host.sysctls = []netif.Sysctl{}
		n.host.mu.Unlock()
		settle(sweepEvery + time.Second)
		n.host.mu.Lock()
		defer n.host.mu.Unlock()
		if len(want) == 0 || !slices.Equal(n.host.sysctls, want) {
			t.Errorf("kernel parameters %v, want %v", n.host.sysctls, want)
		}
	})
}
