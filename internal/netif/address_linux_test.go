package netif

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
)

func apply(t *testing.T, desired ...Address) AddressResult {
	t.Helper()
	result, err := NewAddresses().Reconcile(context.Background(), desired) // also used in Cleanup
	must(t, err)
	return result
}

func TestKernelAddressesAreTaggedAndForeignOnesUntouched(t *testing.T) {
	link, _ := newVeth(t, "eth0", "eth0p")
	addForeign(t, link, "192.0.2.1/24")
	addForeign(t, link, "192.0.2.7/24")
	vip, adopted := address("eth0", "192.0.2.9/24"), address("eth0", "192.0.2.7/24")
	before := kernelAddresses(t, link)

	result := apply(t, vip, adopted)
	must(t, result.Err())
	if !slices.Equal(result.Added, []Address{vip}) || !slices.Equal(result.Foreign, []Address{adopted}) {
		t.Errorf("added %v, foreign %v, want %v, %v", result.Added, result.Foreign, vip, adopted)
	}
	added := kernelAddresses(t, link)["192.0.2.9/24"]
	if added.Protocol != Protocol || added.Scope != unix.RT_SCOPE_UNIVERSE || !added.Broadcast.Equal(net.IPv4(192, 0, 2, 255)) {
		t.Errorf("protocol %#x, scope %d, broadcast %v, want %#x, %d, 192.0.2.255",
			added.Protocol, added.Scope, added.Broadcast, Protocol, unix.RT_SCOPE_UNIVERSE)
	}
	result = apply(t)
	must(t, result.Err())
	if !slices.Equal(result.Removed, []Address{vip}) {
		t.Errorf("removed %v, want %v", result.Removed, vip)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(kernelAddresses(t, link)))); diff != "" {
		t.Errorf("addresses (-before +after):\n%s", diff)
	}
}

func TestKernelResidualsOfACrashAreRemoved(t *testing.T) {
	link, _ := newVeth(t, "eth0", "eth0p")
	must(t, netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet("192.0.2.8/32"), Protocol: Protocol}))
	result := apply(t, address("eth0", "192.0.2.9/32"))
	must(t, result.Err())
	if got := slices.Collect(maps.Keys(kernelAddresses(t, link))); !slices.Equal(got, []string{"192.0.2.9/32"}) {
		t.Errorf("addresses %v, want 192.0.2.9/32 alone", got)
	}
}

// What the kernel tells all subscribers is the witness.
func TestKernelSecondApplyChangesNothing(t *testing.T) {
	link, _ := newVeth(t, "eth0", "eth0p")
	addForeign(t, link, "192.0.2.7/24")
	desired := []Address{address("eth0", "192.0.2.9/24"), address("eth0", "192.0.2.7/24"), address("lo", "192.0.2.10/32")}
	must(t, apply(t, desired...).Err())
	t.Cleanup(func() { apply(t) })

	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_IFADDR)
	must(t, err)
	defer func() { _ = socket.Close() }()
	must(t, apply(t, desired...).Err())
	addForeign(t, link, "203.0.113.99/32")
	msgs, _, err := socket.Receive()
	must(t, err)
	h, ok := decodeAddress(msgs[0].Data)
	if !ok || h.Prefix.String() != "203.0.113.99/32" || h.Ours {
		t.Errorf("first change after the second apply: %v, want the marker 203.0.113.99/32", h.PresentAddress)
	}
}

func TestKernelRemovalOfAPrimaryKeepsTheForeignSecondary(t *testing.T) {
	link, _ := newVeth(t, "eth0", "eth0p")
	vip := address("eth0", "192.0.2.9/24")
	must(t, apply(t, vip).Err())
	addForeign(t, link, "192.0.2.1/24")
	sysctl := "net/ipv4/conf/eth0/promote_secondaries"
	must(t, WriteSysctl(sysctl, "0"))
	must(t, WriteSysctl("net/ipv4/conf/all/promote_secondaries", "0"))
	if kernelAddresses(t, link)["192.0.2.1/24"].Flags&unix.IFA_F_SECONDARY == 0 {
		t.Fatal("the foreign address is not secondary, so the test shows nothing")
	}
	must(t, apply(t).Err())
	if got := slices.Collect(maps.Keys(kernelAddresses(t, link))); !slices.Equal(got, []string{"192.0.2.1/24"}) {
		t.Errorf("addresses %v, want 192.0.2.1/24 alone", got)
	}
	if value, err := ReadSysctl(sysctl); err != nil || value != "0" {
		t.Errorf("%s = %q, %v, want the earlier 0", sysctl, value, err)
	}
}

func TestKernelAddressOnLoopbackIsHostScoped(t *testing.T) {
	testenv.Root(t)
	must(t, apply(t, address("lo", "192.0.2.9/32")).Err())
	t.Cleanup(func() { apply(t) })
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	got := kernelAddresses(t, lo)["192.0.2.9/32"]
	if got.Scope != unix.RT_SCOPE_HOST || got.Broadcast != nil || got.Protocol != Protocol {
		t.Errorf("scope %d, broadcast %v, protocol %#x, want %d, none, %#x", got.Scope, got.Broadcast, got.Protocol, unix.RT_SCOPE_HOST, Protocol)
	}
}

func TestKernelIPv6AddressIsUsableAtOnce(t *testing.T) {
	link, _ := newVeth(t, "eth0", "eth0p")
	must(t, WriteSysctl("net/ipv6/conf/eth0/disable_ipv6", "0"))
	vip := address("eth0", "2001:db8::9/64")
	must(t, apply(t, vip).Err())
	got := kernelAddresses(t, link)["2001:db8::9/64"]
	if got.Flags&unix.IFA_F_TENTATIVE != 0 || got.Flags&unix.IFA_F_NODAD == 0 || got.Protocol != Protocol {
		t.Errorf("flags %#x, protocol %#x, want nodad, not tentative, %#x", got.Flags, got.Protocol, Protocol)
	}
	// What is there is not yet used: the kernel's worker is often late.
	vips := []Address{vip}
	for i := range 100 {
		vips = append(vips, address("eth0", fmt.Sprintf("2001:db8::1:%x/64", i)))
		must(t, apply(t, vips...).Err())
		if last := vips[len(vips)-1]; !local(last.Prefix.Addr()) {
			t.Fatalf("%s is there, and packets to it are not taken", last)
		}
	}
	must(t, apply(t, vip).Err())
	other := address("eth0", "2001:db8::9/128")
	err := apply(t, vip, other).Err()
	if err == nil || !strings.Contains(err.Error(), "the interface has it with another prefix length") {
		t.Errorf("error %v, want the other prefix length named", err)
	}
	must(t, WriteSysctl("net/ipv6/conf/eth0/disable_ipv6", "1"))
	err = apply(t, vip).Err()
	if err == nil || !strings.Contains(err.Error(), "IPv6 is disabled on the interface (net/ipv6/conf/eth0/disable_ipv6)") {
		t.Errorf("error %v, want the sysctl named", err)
	}
}

// sourceFor is the address that this host would speak to another one from.
func sourceFor(t *testing.T, to string) string {
	t.Helper()
	conn, err := net.Dial("udp", "["+to+"]:9")
	must(t, err)
	defer func() { _ = conn.Close() }()
	return conn.LocalAddr().(*net.UDPAddr).IP.String()
}

// An address that moves begins no connection, as long as there is another one.
func TestKernelIPv6AddressIsNoSource(t *testing.T) {
	link, _ := newVeth(t, "eth0", "eth0p")
	must(t, apply(t, address("eth0", "2001:db8::9/64")).Err())
	got := kernelAddresses(t, link)["2001:db8::9/64"]
	if got.Flags&unix.IFA_F_DEPRECATED == 0 || got.Flags&unix.IFA_F_PERMANENT == 0 {
		t.Errorf("flags %#x, want deprecated, for good", got.Flags)
	}
	if source := sourceFor(t, "2001:db8::77"); source != "2001:db8::9" {
		t.Errorf("source %s, want the only address that there is", source)
	}
	must(t, netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet("2001:db8::1/64"), Flags: unix.IFA_F_NODAD}))
	if source := sourceFor(t, "2001:db8::77"); source != "2001:db8::1" {
		t.Errorf("source %s, want the host's own 2001:db8::1", source)
	}
}

func TestKernelMissingInterfaceIsAnErrorOfItsAddressAlone(t *testing.T) {
	newVeth(t, "eth0", "eth0p")
	vip := address("eth0", "192.0.2.9/32")
	result := apply(t, address("eth7", "192.0.2.8/32"), vip)
	if len(result.Failed) != 1 || !errors.Is(result.Failed[0], ErrNoInterface) || !slices.Equal(result.Added, []Address{vip}) {
		t.Errorf("failed %v, added %v, want ErrNoInterface for eth7, %v", result.Failed, result.Added, vip)
	}
}

func TestKernelLackOfPrivilegeIsNamed(t *testing.T) {
	newVeth(t, "eth0", "eth0p")
	var result AddressResult
	var err error
	onPlainThread(t, func() {
		result, err = NewAddresses().Reconcile(t.Context(), []Address{address("eth0", "192.0.2.9/32")})
	})
	must(t, err)
	var privilege *PrivilegeError
	if err := result.Err(); !errors.As(err, &privilege) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("error %v, want a PrivilegeError that names CAP_NET_ADMIN", err)
	}
}

// onPlainThread runs fn without CAP_NET_ADMIN.
func onPlainThread(t *testing.T, fn func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		err := unix.Capget(&header, &data[0])
		data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err == nil {
			err = unix.Capset(&header, &data[0])
		}
		if err == nil {
			fn()
		}
		done <- err
	}()
	must(t, <-done)
}
