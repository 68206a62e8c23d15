package realserver

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// hasIPIP reports whether this kernel has the tunnel, and fails where it must.
func hasIPIP(t *testing.T) bool {
	t.Helper()
	before, err := netif.ReadTunnel(t.Context(), Tunnel)
	if err != nil {
		t.Fatal(err)
	}
	err = netif.EnsureIPIP(t.Context(), Tunnel)
	if errors.Is(err, errors.ErrUnsupported) {
		if testenv.Required("ipvs") { // a kernel of that kind is to have both
			t.Fatal(err)
		}
		return false
	}
	if err == nil {
		err = netif.RestoreIPIP(t.Context(), before)
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

func TestTUNOnTheKernelIsSilentThroughoutAndUndoneExactly(t *testing.T) {
	if testenv.Root(t); !hasIPIP(t) {
		t.Skip("needs ipip: this kernel does not have it")
	}
	far := segment(t)
	r, state := onHost(t, service("web", "tun", "192.0.2.100:80", "192.0.2.11"))
	sysctls := setOdd(t, map[string]string{
		"all/arp_ignore": "0", "all/arp_announce": "1", "eth0/arp_ignore": "0", "eth0/arp_announce": "0",
		"all/rp_filter": "1", "tunl0/rp_filter": "1",
	})
	before, tunnel := addresses(t), readTunnel(t)
	asker := hammer(t, far, vip, serverAddr)
	for range 3 {
		if err := r.Apply(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		asker.expectSilence("after apply")
		expectAllOK(t, r, state)
		expectTunnelled(t, far)
		asker.expectSilence("after a request through the tunnel")
		if err := r.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		asker.expectSilence("after remove")
		if d := cmp.Diff(sysctls, confSysctls(t)); d != "" {
			t.Errorf("sysctls after remove (-before +after):\n%s", d)
		}
		if d := cmp.Diff(before, addresses(t), equateNetip); d != "" {
			t.Errorf("addresses after remove (-before +after):\n%s", d)
		}
		if got := readTunnel(t); got != tunnel {
			t.Errorf("tunl0 after remove = %+v, want %+v", got, tunnel)
		}
	}
}

func readTunnel(t *testing.T) netif.Tunnel {
	t.Helper()
	tunnel, err := netif.ReadTunnel(t.Context(), Tunnel)
	if err != nil {
		t.Fatal(err)
	}
	return tunnel
}

// expectTunnelled sends a wrapped datagram for the VIP from the asker, as a
// director does for a client whose way back is eth0, not the tunnel. With a
// strict rp_filter in force it would be dropped.
func expectTunnelled(t *testing.T, far *testenv.Netns) {
	t.Helper()
	service, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(vip, 80)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = service.Close() }()
	const request = "through the tunnel"
	payload := slices.Concat([]byte{0x30, 0x39, 0, 80, 0, byte(8 + len(request)), 0, 0}, []byte(request)) // UDP, no checksum
	inner := slices.Concat([]byte{0x45, 0, 0, byte(20 + len(payload)), 0, 0, 0, 0, 64, 17, 0, 0}, askerAddr.AsSlice(), vip.AsSlice())
	sum := checksum(inner)
	inner[10], inner[11] = byte(sum>>8), byte(sum)
	far.Do(t, func() {
		var raw net.Conn
		if raw, err = net.Dial("ip4:4", serverAddr.String()); err == nil {
			_, err = raw.Write(append(inner, payload...))
			_ = raw.Close()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := service.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 100)
	n, client, err := service.ReadFromUDPAddrPort(buffer)
	if err != nil {
		t.Fatalf("the request through the tunnel does not arrive: %v", err)
	}
	if got := string(buffer[:n]); got != request || client.Addr().Unmap() != askerAddr {
		t.Errorf("arrived: %q from %s, want %q from %s", got, client, request, askerAddr)
	}
}

// checksum is the internet checksum of data with an even length.
func checksum(data []byte) uint16 {
	var sum uint32
	for i := 0; i < len(data); i += 2 {
		sum += uint32(data[i])<<8 | uint32(data[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
