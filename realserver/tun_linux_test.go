package realserver

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/internal/config"
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
	err = netif.EnsureTunnel(t.Context(), Tunnel)
	if errors.Is(err, errors.ErrUnsupported) {
		if testenv.Required("ipvs") { // a kernel of that kind is to have both
			t.Fatal(err)
		}
		return false
	}
	if err == nil {
		err = netif.RestoreTunnel(t.Context(), before)
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
	// Nothing loads it by itself; a real server has it in /etc/modules-load.d.
	if out, err := exec.Command("modprobe", "fou").CombinedOutput(); err != nil {
		t.Fatalf("loading fou: %v: %s", err, out)
	}
	for _, tt := range []struct {
		wanted   config.Service
		device   string
		protocol string // that carries it over IPv4
		header   []byte
	}{
		{service("web", "tun", "192.0.2.100:80", "192.0.2.11"), "tunl0", "ip4:4", nil},
		// UDP without a checksum, and GUE, which says IP in IP.
		{tunnelled("web", "192.0.2.100:80", "gue", 6080), "tunl0", "ip4:17", []byte{0x30, 0x39, 0x17, 0xc0, 0, 0, 0, 0, 0, 4, 0, 0}},
		{tunnelled("web", "192.0.2.100:80", "gre", 0), "gre0", "ip4:47", []byte{0, 0, 8, 0}},
	} {
		t.Run(cmp.Or(tt.wanted.Attributes.Tunnel.Type, "ipip"), func(t *testing.T) {
			far := segment(t)
			r, state := onHost(t, tt.wanted)
			// The device, with its settings, may come with the module.
			before := readTunnel(t, tt.device)
			if err := netif.EnsureTunnel(t.Context(), tt.device); err != nil {
				t.Fatal(err)
			}
			if err := netif.RestoreTunnel(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			sysctls := setOdd(t, map[string]string{
				"all/arp_ignore": "0", "all/arp_announce": "1", "eth0/arp_ignore": "0", "eth0/arp_announce": "0",
				"all/rp_filter": "1", tt.device + "/rp_filter": "1",
			})
			held, tunnel := addresses(t), readTunnel(t, tt.device)
			asker := hammer(t, far, vip, serverAddr)
			for range 2 {
				if err := r.Apply(t.Context(), state); err != nil {
					t.Fatal(err)
				}
				asker.expectSilence("after apply")
				expectAllOK(t, r, state)
				expectTunnelled(t, far, tt.protocol, tt.header)
				asker.expectSilence("after a request through the tunnel")
				if err := r.Remove(t.Context()); err != nil {
					t.Fatal(err)
				}
				asker.expectSilence("after remove")
				if d := diff.Diff(sysctls, confSysctls(t)); d != "" {
					t.Errorf("sysctls after remove (-before +after):\n%s", d)
				}
				if d := diff.Diff(held, addresses(t), equateNetip); d != "" {
					t.Errorf("addresses after remove (-before +after):\n%s", d)
				}
				if got := readTunnel(t, tt.device); got != tunnel {
					t.Errorf("%s after remove = %+v, want %+v", tt.device, got, tunnel)
				}
				if ports, err := netif.GUEPorts(t.Context()); err != nil || len(ports) != 0 {
					t.Errorf("after remove GUE is received at %v, %v", ports, err)
				}
			}
		})
	}
}

func readTunnel(t *testing.T, name string) netif.Tunnel {
	t.Helper()
	tunnel, err := netif.ReadTunnel(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return tunnel
}

// expectTunnelled sends a wrapped datagram for the VIP from the asker, as a
// director does for a client whose way back is eth0, not the tunnel. With a
// strict rp_filter in force it would be dropped.
func expectTunnelled(t *testing.T, far *testenv.Netns, protocol string, header []byte) {
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
	outer := slices.Concat(header, inner, payload)
	if protocol == "ip4:17" {
		outer[5] = byte(len(outer)) // the length of UDP
	}
	far.Do(t, func() {
		var raw net.Conn
		if raw, err = net.Dial(protocol, serverAddr.String()); err == nil {
			_, err = raw.Write(outer)
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
