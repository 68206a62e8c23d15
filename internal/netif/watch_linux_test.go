package netif

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// startWatch runs Watch until the test ends and returns its events.
func startWatch(t *testing.T) <-chan Event {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	events, ended := make(chan Event, 1000), make(chan error, 1)
	go func() { ended <- Watch(ctx, func(e Event) { events <- e }) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Watch: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Watch does not end with its context")
		}
		goleak.VerifyNone(t, ignore)
	})
	return events
}

// wait returns the first event that matches, and fails at one that must not be.
func wait(t *testing.T, events <-chan Event, what string, match func(Event) bool, never ...EventKind) Event {
	t.Helper()
	limit := time.After(5 * time.Second)
	for {
		select {
		case e := <-events:
			if match(e) {
				return e
			}
			for _, kind := range never {
				if e.Kind == kind {
					t.Fatalf("%v of %s while waiting for: %s", e.Kind, e.Link.Name, what)
				}
			}
		case <-limit:
			t.Fatalf("no event: %s", what)
		}
	}
}

func of(kind EventKind, name string) func(Event) bool {
	return func(e Event) bool { return e.Kind == kind && e.Link.Name == name }
}

func TestWatchReportsLinks(t *testing.T) {
	link, peer := newVeth(t, "eth0", "eth0p")
	events := startWatch(t)
	wait(t, events, "what is there", of(LinkUp, "eth0"))
	wait(t, events, "the end of the first reading", of(Synced, ""))

	must(t, netlink.LinkSetDown(peer))
	lost := wait(t, events, "loss of carrier", of(LinkDown, "eth0"))
	if !lost.Link.Up || lost.Link.Carrier {
		t.Errorf("up %v, carrier %v, want true, false", lost.Link.Up, lost.Link.Carrier)
	}
	must(t, netlink.LinkSetUp(peer))
	wait(t, events, "carrier again", of(LinkUp, "eth0"))
	must(t, netlink.LinkSetDown(link))
	off := wait(t, events, "set down", of(LinkDown, "eth0"))
	if off.Link.Up {
		t.Error("the link is reported up after it was set down")
	}
	must(t, netlink.LinkSetName(link, "lan"))
	wait(t, events, "renamed: gone", of(LinkGone, "eth0"))
	wait(t, events, "renamed: new", of(LinkNew, "lan"))
	must(t, netlink.LinkDel(link))
	wait(t, events, "deleted", of(LinkGone, "lan"))
}

func TestWatchTellsABridgePortThatLeavesFromALinkThatVanishes(t *testing.T) {
	link, _ := newVeth(t, "eth0", "eth0p")
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	must(t, netlink.LinkAdd(bridge))
	t.Cleanup(func() { _ = netlink.LinkDel(bridge) })
	events := startWatch(t)
	wait(t, events, "the first reading", of(Synced, ""))
	must(t, netlink.LinkSetMaster(link, bridge))
	must(t, netlink.LinkSetNoMaster(link))
	must(t, netlink.LinkSetDown(bridge))
	must(t, netlink.LinkDel(bridge))
	wait(t, events, "the bridge gone, and it alone", of(LinkGone, "br0"), LinkGone)
}

func TestWatchReportsAddresses(t *testing.T) {
	link, _ := newVeth(t, "eth0", "eth0p")
	vip := address("eth0", "192.0.2.9/24")
	events := startWatch(t)
	wait(t, events, "the first reading", of(Synced, ""))
	must(t, apply(t, vip).Err())
	added := wait(t, events, "the address", of(AddressNew, "eth0"))
	if want := (PresentAddress{vip, true, Protocol}); added.Address != want {
		t.Errorf("new address %+v, want %+v", added.Address, want)
	}
	must(t, netlink.AddrDel(link, &netlink.Addr{IPNet: ipNet("192.0.2.9/24")}))
	gone := wait(t, events, "the address gone", of(AddressGone, "eth0"))
	if gone.Address.Address != vip || !gone.Address.Ours {
		t.Errorf("gone %+v, want %v, ours", gone.Address, vip)
	}
	peerAddr := &netlink.Addr{IPNet: ipNet("198.51.100.1/32"), Peer: ipNet("198.51.100.2/32")}
	must(t, netlink.AddrAdd(link, peerAddr))
	wait(t, events, "a point-to-point address", of(AddressNew, "eth0"))
	must(t, netlink.AddrDel(link, peerAddr))
	wait(t, events, "the point-to-point address gone", of(AddressGone, "eth0"))
}

// A consumer that stands still loses events, and learns the state all the same.
func TestWatchRecoversFromLostEvents(t *testing.T) {
	link, _ := newVeth(t, "eth0", "eth0p")
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	present, syncs := map[netip.Prefix]bool{}, 0
	standstill := make(chan struct{})
	ended := make(chan error, 1)
	first := make(chan struct{})
	go func() {
		ended <- watch(ctx, 16<<10, func(e Event) {
			mu.Lock()
			switch e.Kind {
			case AddressNew:
				present[e.Address.Prefix] = true
			case AddressGone:
				delete(present, e.Address.Prefix)
			case Synced:
				syncs++
			}
			count := syncs
			mu.Unlock()
			if e.Kind == Synced && count == 1 {
				close(first)
				<-standstill
			}
		})
	}()
	<-first
	stale, flood := &netlink.Addr{IPNet: ipNet("192.0.2.1/32")}, &netlink.Addr{IPNet: ipNet("192.0.2.2/32")}
	must(t, netlink.AddrAdd(link, stale))
	for range 400 {
		must(t, netlink.AddrAdd(link, flood))
		must(t, netlink.AddrDel(link, flood))
	}
	must(t, netlink.AddrDel(link, stale))
	must(t, netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet("192.0.2.3/32")}))
	close(standstill)
	eventually(t, "the state after the flood", func() bool {
		mu.Lock()
		defer mu.Unlock()
		has := func(s string) bool { return present[netip.MustParsePrefix(s)] }
		return syncs > 1 && has("192.0.2.3/32") && !has("192.0.2.1/32") && !has("192.0.2.2/32")
	})
	cancel()
	must(t, <-ended)
}

func TestCompleteNeverReturnsAPartialList(t *testing.T) {
	calls := 0
	got, err := complete(t.Context(), func() ([]int, error) {
		if calls++; calls < 5 {
			return []int{calls}, fmt.Errorf("listing: %w", netlink.ErrDumpInterrupted)
		}
		return []int{calls, calls}, nil
	})
	if err != nil || len(got) != 2 {
		t.Errorf("got %v, %v, want the fifth list", got, err)
	}
	calls = 0
	got, err = complete(t.Context(), func() ([]int, error) {
		calls++
		return []int{1}, netlink.ErrDumpInterrupted
	})
	if err == nil || got != nil || calls != dumpAttempts {
		t.Errorf("got %v, %v after %d calls, want an error after %d", got, err, calls, dumpAttempts)
	}
}

func addressMessage(bits uint8, attrs map[uint16][]byte) []byte {
	data := []byte{unix.AF_INET, bits, 0, 0, 7, 0, 0, 0}
	for _, kind := range []uint16{unix.IFA_ADDRESS, unix.IFA_LOCAL, unix.IFA_FLAGS, netlink.IFA_PROTO} {
		if value, ok := attrs[kind]; ok {
			data = binary.NativeEndian.AppendUint16(data, uint16(4+len(value)))
			data = binary.NativeEndian.AppendUint16(data, kind)
			data = append(data, value...)
			for len(data)%4 != 0 {
				data = append(data, 0)
			}
		}
	}
	return data
}

func FuzzDecodeAddress(f *testing.F) {
	f.Add(addressMessage(24, map[uint16][]byte{unix.IFA_LOCAL: {192, 0, 2, 1}, unix.IFA_ADDRESS: {192, 0, 2, 1}, netlink.IFA_PROTO: {Protocol}}))
	f.Add(addressMessage(32, map[uint16][]byte{unix.IFA_LOCAL: {192, 0, 2, 1}, unix.IFA_ADDRESS: {192, 0, 2, 2}, unix.IFA_FLAGS: {0x80, 0, 0, 0}}))
	f.Add([]byte{2, 24, 0, 0, 1, 0, 0, 0, 5, 0, 11, 0, 72})
	f.Fuzz(func(t *testing.T, data []byte) {
		h, ok := decodeAddress(data)
		if ok && (!h.Prefix.IsValid() || h.index < 0 || h.Ours != (h.Proto == Protocol)) {
			t.Errorf("decoded %+v", h)
		}
	})
}

func TestDecodeAddress(t *testing.T) {
	tests := []struct {
		name string
		data []byte
		want heldAddress
		ok   bool
	}{
		{"plain", addressMessage(24, map[uint16][]byte{unix.IFA_LOCAL: {192, 0, 2, 1}, unix.IFA_ADDRESS: {192, 0, 2, 1}, netlink.IFA_PROTO: {Protocol}}),
			heldAddress{PresentAddress: PresentAddress{address("", "192.0.2.1/24"), true, Protocol}, index: 7}, true},
		{"secondary", addressMessage(24, map[uint16][]byte{unix.IFA_LOCAL: {192, 0, 2, 1}, unix.IFA_ADDRESS: {192, 0, 2, 1}, unix.IFA_FLAGS: {1, 0, 0, 0}}),
			heldAddress{PresentAddress: PresentAddress{address("", "192.0.2.1/24"), false, 0}, index: 7, secondary: true}, true},
		{"peer", addressMessage(24, map[uint16][]byte{unix.IFA_LOCAL: {192, 0, 2, 1}, unix.IFA_ADDRESS: {10, 0, 0, 1}}),
			heldAddress{PresentAddress: PresentAddress{address("", "192.0.2.1/32"), false, 0}, index: 7, peer: netip.MustParsePrefix("10.0.0.1/24")}, true},
		{"no address", addressMessage(24, nil), heldAddress{}, false},
		{"prefix too long", addressMessage(33, map[uint16][]byte{unix.IFA_LOCAL: {192, 0, 2, 1}, unix.IFA_ADDRESS: {192, 0, 2, 1}}), heldAddress{}, false},
		{"cut", addressMessage(24, map[uint16][]byte{unix.IFA_LOCAL: {192, 0, 2, 1}})[:14], heldAddress{}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := decodeAddress(test.data)
			if ok != test.ok || ok && got != test.want {
				t.Errorf("got %+v, %v, want %+v, %v", got, ok, test.want, test.ok)
			}
		})
	}
}
