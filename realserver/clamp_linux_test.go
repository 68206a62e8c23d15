package realserver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// A client is told of the size that fits into the tunnel, by connections to the
// VIP's port alone.
func TestClientsAreToldASegmentSizeThatFits(t *testing.T) {
	testenv.Root(t)
	far := segment(t)
	viaReal(t, far)
	r, state := onHost(t, service("web", "dr", "192.0.2.100:80", "192.0.2.11"))
	state.Clamps = []Clamp{{netif.Clamp{Address: vip, Port: 80, MSS: 1440}, []string{"web"}}}
	t.Cleanup(func() { _ = r.Remove(context.Background()) })
	if err := r.Apply(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	expectAllOK(t, r, state)
	serve(t, "192.0.2.100:80", "web")
	serve(t, "192.0.2.100:81", "other")
	if size := segmentSize(t, far, "192.0.2.100:80"); size != 1440 {
		t.Errorf("the segment size is %d, want 1440", size)
	}
	if size := segmentSize(t, far, "192.0.2.100:81"); size != 1460 {
		t.Errorf("the segment size of another port is %d, want 1460", size)
	}
	if err := r.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func() (bool, error){
		func() (bool, error) { c, err := netif.ReadClamps(t.Context()); return c.Present, err },
		func() (bool, error) { s, err := netif.ReadSilences(t.Context()); return s.Present, err },
	} {
		if present, err := read(); present || err != nil {
			t.Errorf("a table of ours is left: %v, %v", present, err)
		}
	}
}

// segmentSize connects from far and returns the segment size that it may send,
// with the timestamps that each segment has besides.
func segmentSize(t *testing.T, far *testenv.Netns, at string) (size int) {
	t.Helper()
	far.Do(t, func() {
		conn, err := net.DialTimeout("tcp", at, 10*time.Second)
		if err != nil {
			t.Errorf("connecting to %s: %v", at, err)
			return
		}
		defer func() { _ = conn.Close() }()
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Error(err)
			return
		}
		if err2 := raw.Control(func(fd uintptr) { size, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG) }); err2 != nil || err != nil {
			t.Error(err2, err)
		}
	})
	const timestamps = 12
	return size + timestamps
}

// The second lock holds where somebody takes the first away: not even then does
// the segment hear of the VIP.
func TestNothingIsHeardOfTheVIPWhateverSomebodySets(t *testing.T) {
	far := segment6(t)
	six := service("six", "dr", "[2001:db8::100]:80", "2001:db8::11")
	r, state := onHost(t, service("web", "dr", "192.0.2.100:80", "192.0.2.11"), six)
	if able, err := netif.CanSilence(); err != nil || !able {
		if testenv.Required("ipvs") {
			t.Fatalf("rules for ARP: %v, %v; a kernel of this kind has them", able, err)
		}
		t.Skip("this kernel has no rules for ARP")
	}
	asker, solicitor := hammer(t, far, vip, serverAddr), solicit(t, far, vip6, server6)
	silent := func(when string) {
		t.Helper()
		asker.expectSilence(when)
		solicitor.expectSilence(when)
	}
	t.Cleanup(func() { _ = r.Remove(context.Background()) })
	if err := r.Apply(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	silent("after apply")
	for _, name := range []string{"all", "eth0"} {
		for key, value := range map[string]string{"arp_ignore": "0", "arp_announce": "0"} {
			if err := netif.WriteSysctl("net/ipv4/conf/"+name+"/"+key, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	sendFrom(t, vip, netip.MustParseAddr("192.0.2.77")) // it would ask for its client by the VIP's name
	silent("with arp_ignore and arp_announce at 0")
	flap(t, "eth0")
	silent("after the interface went down and up")
	t.Cleanup(func() { _ = r.Remove(context.Background()) })
	if err := r.Apply(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	silent("after the repair")
	expectAllOK(t, r, state)
	// The table is what holds: without it they would have answered.
	if err := netif.SetSilences(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"all", "eth0"} {
		if err := netif.WriteSysctl("net/ipv4/conf/"+name+"/arp_ignore", "0"); err != nil {
			t.Fatal(err)
		}
	}
	asker.until("an answer without both locks", func() bool { n, _ := asker.counts(from(vip)); return n > 0 })
	if err := r.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// flap sets an interface down and up.
func flap(t *testing.T, name string) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = errors.Join(netlink.LinkSetDown(link), netlink.LinkSetUp(link))
	}
	if err == nil { // addresses of IPv6 go with the interface
		err = netlink.AddrReplace(link, &netlink.Addr{IPNet: &net.IPNet{IP: server6.AsSlice(), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD})
	}
	if err != nil {
		t.Fatal(err)
	}
}
