package netif

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestReconcileAddsAndRemovesOnlyOurs(t *testing.T) {
	k := newFakeKernel("eth0")
	base, stale, vip := address("eth0", "192.0.2.1/24"), address("eth0", "192.0.2.8/24"), address("eth0", "192.0.2.9/24")
	_ = k.put(base, 0)
	_ = k.put(stale, Protocol)
	got := reconcile(t, k, vip)
	want := AddressResult{
		Added:   []Address{vip},
		Removed: []Address{stale},
		Present: []PresentAddress{{base, false, 0}, {vip, true, Protocol}},
	}
	if diff := cmp.Diff(want, got, cmpAddresses); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"add 192.0.2.9/24 on eth0", "remove 192.0.2.8/24 on eth0"}, k.ops); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

var cmpAddresses = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestRemoveFirst(t *testing.T) {
	k := newFakeKernel("eth0")
	_ = k.put(address("eth0", "192.0.2.8/24"), Protocol)
	a := &Addresses{kernel: k, RemoveFirst: true}
	if _, err := a.Reconcile(t.Context(), []Address{address("eth0", "198.51.100.9/24"), address("eth0", "2001:db8::9/64")}); err != nil {
		t.Fatal(err)
	}
	want := []string{"remove 192.0.2.8/24 on eth0", "add 198.51.100.9/24 on eth0", "add 2001:db8::9/64 on eth0", "await 2001:db8::9 on eth0"}
	if diff := cmp.Diff(want, k.ops); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

func TestForeignAddressIsAdoptedAndOutlivesUs(t *testing.T) {
	k := newFakeKernel("eth0")
	vip := address("eth0", "192.0.2.9/24")
	_ = k.put(vip, 0)
	got := reconcile(t, k, vip)
	if len(k.ops) > 0 || !slices.Equal(got.Foreign, []Address{vip}) || len(got.Added) > 0 {
		t.Errorf("operations %v, foreign %v, added %v; want none, the address, none", k.ops, got.Foreign, got.Added)
	}
	if got = reconcile(t, k); len(k.ops) > 0 || len(got.Present) != 1 {
		t.Errorf("operations %v, present %v after it is no longer desired; want none, the address", k.ops, got.Present)
	}
}

func TestOtherInterfacesAreNotOurs(t *testing.T) {
	k := newFakeKernel("eth0", "lo")
	_ = k.put(address("eth0", "192.0.2.8/24"), Protocol)
	_ = k.put(address("lo", "192.0.2.8/32"), Protocol)
	a := &Addresses{kernel: k, Interfaces: func(name string) bool { return name == "lo" }}
	result, err := a.Reconcile(t.Context(), []Address{address("lo", "192.0.2.9/32"), address("eth0", "192.0.2.9/24")})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"add 192.0.2.9/32 on lo", "remove 192.0.2.8/32 on lo"}
	if diff := cmp.Diff(want, k.ops); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	if len(result.Failed) != 1 || !errors.Is(result.Failed[0], errElsewhere) || result.Failed[0].Address.Interface != "eth0" {
		t.Errorf("failures %v, want that of eth0", result.Failed)
	}
}

func TestOneFailureDoesNotHinderTheOthers(t *testing.T) {
	k := newFakeKernel("eth0")
	bad, good := address("eth0", "192.0.2.8/32"), address("eth0", "192.0.2.9/32")
	nowhere, multicast := address("eth7", "192.0.2.7/32"), address("eth0", "224.0.0.18/32")
	k.refuse = map[Address]error{bad: syscall.EPERM}
	got := reconcile(t, k, bad, good, nowhere, multicast)
	if !slices.Equal(got.Added, []Address{good}) {
		t.Errorf("added %v, want %v", got.Added, good)
	}
	var text []string
	for _, e := range got.Failed {
		text = append(text, e.Error())
	}
	want := []string{
		"adding address 192.0.2.8/32 on eth0: operation not permitted (needs root or the capability CAP_NET_ADMIN)",
		"adding address 224.0.0.18/32 on eth0: not a unicast address with a prefix length",
		"adding address 192.0.2.7/32 on eth7: no such interface",
	}
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	var privilege *PrivilegeError
	if err := got.Err(); !errors.As(err, &privilege) || !errors.Is(err, ErrNoInterface) {
		t.Errorf("Err() = %v, want it to match PrivilegeError and ErrNoInterface", err)
	}
	if tries := strings.Count(strings.Join(k.ops, "\n"), "192.0.2.8/32"); tries != 1 {
		t.Errorf("%d tries of what was refused, want 1", tries)
	}
}

func TestKernelWithoutTagsIsRefusedAndLeftAsItWas(t *testing.T) {
	k := newFakeKernel("eth0")
	k.untagged = true
	got := reconcile(t, k, address("eth0", "192.0.2.9/24"))
	var unsupported *UnsupportedError
	if err := got.Err(); !errors.As(err, &unsupported) || !errors.Is(err, errors.ErrUnsupported) {
		t.Fatalf("Err() = %v, want an UnsupportedError", err)
	}
	if !strings.Contains(unsupported.Feature, "IFA_PROTO") || !strings.Contains(unsupported.Remedy, "5.18") {
		t.Errorf("feature %q, remedy %q, want them to name IFA_PROTO and 5.18", unsupported.Feature, unsupported.Remedy)
	}
	if len(k.held) > 0 || len(got.Added) > 0 {
		t.Errorf("held %v, added %v, want none", k.held, got.Added)
	}
}

func TestRemovingAPrimaryKeepsItsSecondaries(t *testing.T) {
	primary := address("eth0", "192.0.2.8/24")
	foreign, ours := address("eth0", "192.0.2.1/24"), address("eth0", "192.0.2.9/24")
	tests := []struct {
		name      string
		noPromote bool
		foreign   bool
		want      []Address
		failure   string
	}{
		{"promoted", false, true, []Address{foreign, ours}, ""},
		{"ours are put back where nothing can be promoted", true, false, []Address{ours}, ""},
		{"a foreign one is not sacrificed", true, true, []Address{foreign, primary, ours},
			"removing address 192.0.2.8/24 on eth0: the kernel would remove 192.0.2.1/24 with it"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k := newFakeKernel("eth0")
			k.noPromote = test.noPromote
			_ = k.put(primary, Protocol)
			if test.foreign {
				_ = k.put(foreign, 0)
			}
			_ = k.put(ours, Protocol)
			result := reconcile(t, k, ours)
			var got []Address
			for _, p := range result.Present {
				got = append(got, p.Address)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("present %v, want %v", got, test.want)
			}
			if failure := fmt.Sprint(result.Err()); (result.Err() == nil) != (test.failure == "") || !strings.HasPrefix(failure, test.failure) && test.failure != "" {
				t.Errorf("failure %q, want %q", failure, test.failure)
			}
			if k.promoted {
				t.Error("promote_secondaries stays switched on")
			}
		})
	}
}

func TestAnAddressThatDoesNotStayIsReported(t *testing.T) {
	k := newFakeKernel("eth0")
	k.intrude = func(k *fakeKernel) { k.held = nil }
	got := reconcile(t, k, address("eth0", "192.0.2.9/24"))
	want := "adding address 192.0.2.9/24 on eth0: it does not stay: added 3 times, gone each time"
	if err := got.Err(); err == nil || err.Error() != want || len(got.Added) > 0 {
		t.Errorf("Err() = %v, added %v, want %q, none", err, got.Added, want)
	}
}

func TestReconcileEndsAtTheDesiredState(t *testing.T) {
	names := []string{"eth0", "eth1"}
	drawAddress := rapid.Custom(func(t *rapid.T) Address {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(rapid.IntRange(0, 1).Draw(t, "net")), byte(rapid.IntRange(1, 6).Draw(t, "host"))})
		return Address{
			rapid.SampledFrom(names).Draw(t, "interface"),
			netip.PrefixFrom(addr, rapid.SampledFrom([]int{24, 32}).Draw(t, "bits")),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		k := newFakeKernel(names...)
		foreign := map[Address]bool{}
		for _, addr := range rapid.SliceOfN(drawAddress, 0, 10).Draw(t, "actual") {
			tag := rapid.SampledFrom([]uint8{0, 2, Protocol}).Draw(t, "tag")
			if k.put(addr, tag) == nil && tag != Protocol {
				foreign[addr] = true
			}
		}
		desired := rapid.SliceOfN(drawAddress, 0, 8).Draw(t, "desired")
		a := &Addresses{kernel: k, RemoveFirst: rapid.Bool().Draw(t, "remove first")}
		result, err := a.Reconcile(t.Context(), desired)
		if err != nil || result.Err() != nil {
			t.Fatalf("Reconcile: %v, %v", err, result.Err())
		}
		want := map[Address]bool{} // true: ours
		for addr := range foreign {
			want[addr] = false
		}
		for _, addr := range desired {
			want[addr] = !foreign[addr]
		}
		got := map[Address]bool{}
		for _, p := range result.Present {
			got[p.Address] = p.Ours
		}
		if diff := cmp.Diff(want, got, cmpAddresses); diff != "" {
			t.Fatalf("addresses and whether they are ours (-want +got):\n%s", diff)
		}
		k.ops = nil
		if _, err := a.Reconcile(t.Context(), desired); err != nil || len(k.ops) > 0 {
			t.Fatalf("second Reconcile: error %v, operations %v, want none", err, k.ops)
		}
	})
}
