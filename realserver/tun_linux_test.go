package realserver

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// hasIPIP reports whether this kernel has the tunnel, and fails where it must.
func hasIPIP(t *testing.T) bool {
	t.Helper()
	const device = netif.DeviceIPIP
	before, err := netif.ReadTunnel(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	err = netif.EnsureTunnel(t.Context(), device, 0)
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
	// UDP without a checksum, and GUE, which says what is inside; GRE says it too.
	gue := func(inside byte) []byte { return []byte{0x30, 0x39, 0x17, 0xc0, 0, 0, 0, 0, 0, inside, 0, 0} }
	gre4, gre6 := []byte{0, 0, 0x08, 0}, []byte{0, 0, 0x86, 0xdd}
	for _, tt := range []struct {
		kind, listen string
		over6        bool
		device       string
		protocol     string // that carries it
		header       []byte
	}{
		{"ipip", "192.0.2.100:80", false, "tunl0", "ip4:4", nil},
		{"gue", "192.0.2.100:80", false, "tunl0", "ip4:17", gue(4)},
		{"gre", "192.0.2.100:80", false, "gre0", "ip4:47", gre4},
		{"ipip", "[2001:db8::100]:80", false, "sit0", "ip4:41", nil},
		{"gue", "[2001:db8::100]:80", false, "sit0", "ip4:17", gue(41)},
		{"gre", "[2001:db8::100]:80", false, "gre0", "ip4:47", gre6},
		{"ipip", "[2001:db8::100]:80", true, "ip6tnl0", "ip6:41", nil},
		{"gue", "[2001:db8::100]:80", true, "ip6tnl0", "ip6:17", gue(41)},
		{"gre", "[2001:db8::100]:80", true, "ip6gre0", "ip6:47", gre6},
		{"ipip", "192.0.2.100:80", true, "ip6tnl0", "ip6:4", nil},
		{"gre", "192.0.2.100:80", true, "ip6gre0", "ip6:47", gre4},
	} {
		t.Run(tt.kind+" of "+tt.listen+" by "+tt.protocol, func(t *testing.T) {
			far := segment6(t)
			wanted := tunnelled("web", tt.listen, tt.kind, map[string]uint16{"gue": 6080}[tt.kind])
			if tt.over6 {
				wanted = over6(wanted)
			}
			r, state := onHost(t, wanted)
			// The device, with its settings, may come with the module.
			before := readTunnel(t, tt.device)
			if err := netif.EnsureTunnel(t.Context(), tt.device, 0); err != nil {
				t.Fatal(err)
			}
			if err := netif.RestoreTunnel(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			if err := netif.WriteSysctl("net/ipv6/conf/"+tt.device+"/disable_ipv6", "0"); err != nil {
				t.Fatal(err)
			}
			sysctls := setOdd(t, map[string]string{
				"all/arp_ignore": "0", "all/arp_announce": "1", "eth0/arp_ignore": "0", "eth0/arp_announce": "0",
				"all/rp_filter": "1", tt.device + "/rp_filter": "1",
			})
			held, tunnel := addresses(t), readTunnel(t, tt.device)
			asker := hammer(t, far, vip, serverAddr)
			if err := r.Apply(t.Context(), state); err != nil {
				t.Fatal(err)
			}
			asker.expectSilence("after apply")
			expectAllOK(t, r, state)
			if err := r.Apply(t.Context(), state); err != nil {
				t.Fatal(err)
			}
			expectTunnelled(t, far, wanted.Listen[0].Addr(), tt.protocol, tt.header)
			asker.expectSilence("after a request through the tunnel")
			if n := answers(t, far, vip6); n != 0 {
				t.Errorf("%d answers to solicitations for the VIP, want none", n)
			}
			if err := r.Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			asker.expectSilence("after remove")
			if d := cmp.Diff(sysctls, confSysctls(t)); d != "" {
				t.Errorf("sysctls after remove (-before +after):\n%s", d)
			}
			if d := cmp.Diff(held, addresses(t), equateNetip); d != "" {
				t.Errorf("addresses after remove (-before +after):\n%s", d)
			}
			if got := readTunnel(t, tt.device); got != tunnel {
				t.Errorf("%s after remove = %+v, want %+v", tt.device, got, tunnel)
			}
			if ports, err := netif.GUEPorts(t.Context()); err != nil || len(ports) != 0 {
				t.Errorf("after remove GUE is received at %v, %v", ports, err)
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

// expectTunnelled sends a wrapped datagram for a VIP from the asker, as a
// director does for a client whose way back is eth0, not the tunnel. With a
// strict rp_filter in force it would be dropped.
func expectTunnelled(t *testing.T, far *testenv.Netns, vip netip.Addr, protocol string, header []byte) {
	t.Helper()
	service, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(vip, 80)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = service.Close() }()
	const request = "through the tunnel"
	client, server := askerAddr, serverAddr
	if vip.Is6() {
		client = asker6
	}
	if strings.HasPrefix(protocol, "ip6") {
		server = server6
	}
	outer := slices.Concat(header, datagram(client, vip, 80, request))
	if strings.HasSuffix(protocol, ":17") {
		outer[5] = byte(len(outer)) // the length of UDP
	}
	far.Do(t, func() {
		var raw net.Conn
		if raw, err = net.Dial(protocol, server.String()); err == nil {
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
	n, from, err := service.ReadFromUDPAddrPort(buffer)
	if err != nil {
		t.Fatalf("the request through the tunnel does not arrive: %v", err)
	}
	if got := string(buffer[:n]); got != request || from.Addr().Unmap() != client {
		t.Errorf("arrived: %q from %s, want %q from %s", got, from, request, client)
	}
}

// datagram is an IP packet with UDP of port 12345 inside. The text has an even length.
func datagram(from, to netip.Addr, port byte, text string) []byte {
	length := byte(8 + len(text))
	udp := slices.Concat([]byte{0x30, 0x39, 0, port, 0, length, 0, 0}, []byte(text))
	if to.Is4() {
		head := slices.Concat([]byte{0x45, 0, 0, 20 + length, 0, 0, 0, 0, 64, 17, 0, 0}, from.AsSlice(), to.AsSlice())
		binary.BigEndian.PutUint16(head[10:], checksum(head))
		return append(head, udp...) // without a checksum of UDP
	}
	addresses := slices.Concat(from.AsSlice(), to.AsSlice())
	binary.BigEndian.PutUint16(udp[6:], checksum(slices.Concat(addresses, []byte{0, 0, 0, length, 0, 0, 0, 17}, udp)))
	return slices.Concat([]byte{0x60, 0, 0, 0, 0, length, 17, 64}, addresses, udp)
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
