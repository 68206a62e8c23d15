package ipvsctl_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

// The generators draw from few keys, so that tables overlap.

func drawKey(t *rapid.T) ipvsctl.ServiceKey {
	family := rapid.SampledFrom([]ipvsctl.Family{ipvsctl.IPv4, ipvsctl.IPv6}).Draw(t, "family")
	if rapid.Bool().Draw(t, "by mark") {
		return ipvsctl.ServiceKey{FWMark: uint32(rapid.IntRange(1, 3).Draw(t, "mark")), Family: family}
	}
	return ipvsctl.ServiceKey{
		Protocol: rapid.SampledFrom([]ipvsctl.Protocol{ipvsctl.TCP, ipvsctl.UDP, ipvsctl.SCTP}).Draw(t, "protocol"),
		Address:  drawAddress(t, family),
		Port:     uint16(rapid.SampledFrom([]int{80, 443}).Draw(t, "port")),
	}
}

func drawAddress(t *rapid.T, family ipvsctl.Family) netip.Addr {
	last := byte(rapid.IntRange(1, 3).Draw(t, "address"))
	if family == ipvsctl.IPv6 {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: last})
	}
	return netip.AddrFrom4([4]byte{192, 0, 2, last})
}

func drawService(t *rapid.T, key ipvsctl.ServiceKey) ipvsctl.Service {
	s := ipvsctl.Service{Key: key, Scheduler: rapid.SampledFrom([]string{"", "wlc", "rr", "sh", "mh"}).Draw(t, "scheduler")}
	if s.Scheduler == "sh" || s.Scheduler == "mh" {
		s.Flags = ipvsctl.SchedFlags(rapid.IntRange(0, 7).Draw(t, "flags"))
	}
	if rapid.Bool().Draw(t, "persistent") {
		s.Persistence = time.Duration(rapid.IntRange(1, 300).Draw(t, "persistence")) * time.Second
		s.PersistencePrefix = uint8(rapid.SampledFrom([]int{0, 24, 32}).Draw(t, "prefix"))
		s.Engine = rapid.SampledFrom([]string{"", "sip"}).Draw(t, "engine")
	}
	if key.FWMark != 0 || key.Protocol == ipvsctl.UDP {
		s.OnePacket = rapid.Bool().Draw(t, "one packet")
	}
	for range rapid.IntRange(0, 4).Draw(t, "destinations") {
		d := drawDest(t, key)
		if !hasDest(s, d.Key) {
			s.Dests = append(s.Dests, d)
		}
	}
	return s
}

func hasDest(s ipvsctl.Service, key ipvsctl.DestKey) bool {
	for _, d := range s.Dests {
		if d.Key == key {
			return true
		}
	}
	return false
}

func drawDest(t *rapid.T, service ipvsctl.ServiceKey) ipvsctl.Dest {
	d := ipvsctl.Dest{
		Forward: rapid.SampledFrom([]ipvsctl.Forward{ipvsctl.DR, ipvsctl.TUN, ipvsctl.NAT, ipvsctl.Local}).Draw(t, "forward"),
		Weight:  uint32(rapid.IntRange(0, ipvsctl.MaxWeight).Draw(t, "weight")),
		Upper:   uint32(rapid.IntRange(0, 3).Draw(t, "upper")),
	}
	d.Lower = uint32(rapid.IntRange(0, int(d.Upper)).Draw(t, "lower"))
	family := service.AddressFamily()
	d.Key.Port = service.Port
	switch d.Forward {
	case ipvsctl.NAT:
		d.Key.Port = uint16(rapid.SampledFrom([]int{80, 8080}).Draw(t, "destination port"))
	case ipvsctl.TUN:
		family = rapid.SampledFrom([]ipvsctl.Family{ipvsctl.IPv4, ipvsctl.IPv6}).Draw(t, "destination family")
		d.Tunnel = rapid.SampledFrom([]ipvsctl.Tunnel{
			{}, {Type: ipvsctl.GUE, Port: 6080}, {Type: ipvsctl.GUE, Port: 6081, Flags: ipvsctl.TunnelRemoteChecksum},
			{Type: ipvsctl.GRE, Flags: ipvsctl.TunnelChecksum},
		}).Draw(t, "tunnel")
	}
	d.Key.Address = drawAddress(t, family)
	return d
}

func drawTable(t *rapid.T, label string) ipvsctl.Table {
	keys := rapid.SliceOfNDistinct(rapid.Custom(drawKey), 0, 6, rapid.ID[ipvsctl.ServiceKey]).Draw(t, label)
	table := make(ipvsctl.Table, len(keys))
	for i, key := range keys {
		table[i] = drawService(t, key)
	}
	return table
}

// load returns a fake that holds the table.
func load(t *rapid.T, table ipvsctl.Table) *ipvstest.Fake {
	fake := ipvstest.NewFake()
	apply(t, fake, ipvsctl.Plan(table, nil, nil))
	return fake
}

func apply(t *rapid.T, fake *ipvstest.Fake, ops []ipvsctl.Op) {
	t.Helper()
	for i, err := range fake.Apply(t.Context(), ops) {
		if err != nil {
			t.Fatalf("%v: %v", ops[i], err)
		}
	}
}

func read(t *rapid.T, fake *ipvstest.Fake) ipvsctl.LiveTable {
	t.Helper()
	live, err := fake.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return live
}

func wantTable(t *rapid.T, want ipvsctl.Table, live ipvsctl.LiveTable) {
	t.Helper()
	if diff := cmp.Diff(want.Canonical(), live.Table(), comparer); diff != "" {
		t.Fatalf("unexpected table (-want +got):\n%s", diff)
	}
}

func TestPlanTurnsAnyTableIntoAnyOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawTable(t, "first")
		fake := load(t, table)
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			before := read(t, fake)
			table = drawTable(t, "next")
			if err := table.Validate(); err != nil {
				t.Fatalf("the generator drew an invalid table: %v", err)
			}
			ops := ipvsctl.Plan(table, before, ownsAll)
			wantOrder(t, ops)
			wantNoReplacement(t, ops, before, table.Canonical())
			apply(t, fake, ops)
			after := read(t, fake)
			wantTable(t, table, after)
			if again := ipvsctl.Plan(table, after, ownsAll); len(again) != 0 {
				t.Fatalf("a second plan is %v, want nothing", again)
			}
		}
	})
}

// wantOrder: a service before its destinations, and no addition or update after
// the first deletion.
func wantOrder(t *rapid.T, ops []ipvsctl.Op) {
	t.Helper()
	var dests = map[ipvsctl.ServiceKey]bool{}
	phase := 0 // 0 changes, 1 deletions of destinations, 2 deletions of services
	for _, op := range ops {
		now := map[ipvsctl.OpKind]int{ipvsctl.DeleteDest: 1, ipvsctl.DeleteService: 2}[op.Kind]
		if now < phase {
			t.Fatalf("%v comes after a deletion", op)
		}
		phase = now
		switch {
		case op.Kind.OnDest():
			dests[op.Service.Key] = true
		case dests[op.Service.Key]:
			t.Fatalf("%v comes after an operation on its destinations", op)
		}
	}
}

// wantNoReplacement: what is in both tables is neither added nor deleted.
func wantNoReplacement(t *rapid.T, ops []ipvsctl.Op, before ipvsctl.LiveTable, after ipvsctl.Table) {
	t.Helper()
	for _, op := range ops {
		if op.Kind == ipvsctl.UpdateService || op.Kind == ipvsctl.UpdateDest {
			continue
		}
		s, inBefore := before.Find(op.Service.Key)
		inAfter := false
		var want ipvsctl.Service
		for _, a := range after {
			if a.Key == op.Service.Key {
				inAfter, want = true, a
			}
		}
		if op.Kind.OnDest() {
			inBefore = inBefore && hasDest(s.Spec(), op.Dest.Key)
			inAfter = inAfter && hasDest(want, op.Dest.Key)
		}
		if inBefore && inAfter {
			t.Fatalf("%v, which is in both tables", op)
		}
	}
}

func TestPlanNeverTouchesForeignServices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := drawTable(t, "live")
		fake := load(t, before)
		desired := drawTable(t, "desired")
		mine := rapid.SliceOfN(rapid.Custom(drawKey), 0, 6).Draw(t, "owned")
		ours := make(map[ipvsctl.ServiceKey]bool)
		for _, k := range mine {
			ours[k] = true
		}
		owned := func(k ipvsctl.ServiceKey) bool { return ours[k] }
		live := read(t, fake)
		foreign := ipvsctl.Foreign(desired, live, owned)
		isForeign := make(map[ipvsctl.ServiceKey]bool)
		for _, k := range foreign {
			isForeign[k] = true
		}
		ops := ipvsctl.Plan(desired, live, owned)
		for _, op := range ops {
			if isForeign[op.Service.Key] {
				t.Fatalf("%v, which is foreign", op)
			}
		}
		apply(t, fake, ops)
		want := append(ipvsctl.Table{}, desired...)
		for _, s := range live {
			if isForeign[s.Key] {
				want = append(want, s.Spec())
			}
		}
		wantTable(t, want, read(t, fake))
	})
}

func TestCanonicalIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once := drawTable(t, "table").Canonical()
		if diff := cmp.Diff(once, once.Canonical(), comparer); diff != "" {
			t.Fatalf("Canonical changed a canonical table (-before +after):\n%s", diff)
		}
	})
}

func TestKeyTextRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawKey(t)
		if back, err := ipvsctl.ParseServiceKey(k.String()); err != nil || back != k {
			t.Fatalf("ParseServiceKey(%q) = %v, %v", k, back, err)
		}
	})
}

// TestAnyFailuresAreOvercome: whatever operations fail for a while, what can be done
// is done, and as soon as the causes are gone the table is as desired.
func TestAnyFailuresAreOvercome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fake := load(t, drawTable(t, "live"))
		r := ipvsctl.NewReconciler(fake)
		for range rapid.IntRange(1, 3).Draw(t, "cycles") {
			desired := drawTable(t, "desired")
			fails := rapid.SliceOfN(rapid.Bool(), 16, 16).Draw(t, "fails")
			i := 0
			fake.Refuse(func(ipvsctl.Op) error {
				i++
				if fails[i%len(fails)] {
					return unix.EBUSY
				}
				return nil
			})
			result, err := r.Reconcile(t.Context(), desired, ownsAll)
			if err != nil {
				t.Fatal(err)
			}
			rest := ipvsctl.Plan(desired, read(t, fake), ownsAll)
			if len(result.Failed) != len(rest) {
				t.Fatalf("%d failures are shown, and %d operations are lacking", len(result.Failed), len(rest))
			}
			fake.Refuse(nil)
			if result, err = r.Reconcile(t.Context(), desired, ownsAll); err != nil || result.Err() != nil {
				t.Fatalf("without failures: %v, %v", err, result.Err())
			}
			wantTable(t, desired, read(t, fake))
			if again, err := r.Reconcile(t.Context(), desired, ownsAll); err != nil || len(again.Ops) != 0 {
				t.Fatalf("once more: %v, %v", again.Ops, err)
			}
		}
	})
}
