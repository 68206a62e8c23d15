package director

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

// deadNode is what is left of lvs1, killed as master.
func deadNode(t *testing.T) (*fakeHost, string) {
	host, dir := newFakeHost(), t.TempDir()
	host.addresses = []netif.PresentAddress{
		{Address: netif.Address{Interface: "eth0", Prefix: netip.MustParsePrefix("192.0.2.1/24")}},
		{Address: vip, Ours: true},
	}
	if err := statefile.Save(willPath(dir), will{Routers: Routers(pairConfig("lvs1"))}); err != nil {
		t.Fatal(err)
	}
	return host, dir
}

func TestCleanupResignsAndWaitsForTheSuccessor(t *testing.T) {
	peers := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	for name, change := range map[string]func(*config.VRRP){
		"version 3":         func(*config.VRRP) {},
		"RFC 9568 checksum": func(v *config.VRRP) { v.Version, v.Checksum = 3, "rfc9568" },
		"version 2":         func(v *config.VRRP) { v.Version, v.Interval = 2, 2*time.Second },
		"version 2, authentication, unicast": func(v *config.VRRP) {
			v.Version, v.Authentication, v.Peers, v.MinTTL = 2, "s3cret", peers, 255
		},
		"unicast": func(v *config.VRRP) { v.Peers = peers },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { cleanupForSuccessor(t, change) })
		})
	}
}

func cleanupForSuccessor(t *testing.T, change func(*config.VRRP)) {
	ours, theirs := pairConfig("lvs1"), pairConfig("lvs2")
	change(&ours.VRRP[0])
	change(&theirs.VRRP[0])
	self, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	lan := vrrptest.NewLAN()
	peer := newNode(t, theirs, lan.Host("lvs2", "eth0", other), newFakeHost())
	defer peer.end()
	dead := lan.Host("lvs1", "eth0", self)
	peer.startSpeaker()
	peer.startDirector()
	settle(time.Second)
	advertise(t, dead, Routers(ours)[0], self, other)
	settle(time.Millisecond)

	host, dir := deadNode(t)
	if err := statefile.Save(willPath(dir), will{Routers: Routers(ours)}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := Cleanup(t.Context(), dir, host, dead, quiet()); err != nil {
		t.Fatal(err)
	}
	// The backup takes over the skew time after priority 0.
	router := Routers(theirs)[0]
	if took, want := time.Since(began), router.SkewTime(router.Interval); took != want {
		t.Errorf("cleanup took %v, want the skew time of the backup, %v", took, want)
	}
	synctest.Wait()
	if !peer.holds() {
		t.Error("the backup has not taken over")
	}
	wantCalls(t, host, "cleanup", "remove 192.0.2.100/24", "restore sysctls")
}

// advertise sends one advert of a master, to other if the router is unicast.
func advertise(t *testing.T, network vrrp.Network, r vrrp.RouterConfig, self, other netip.Addr) {
	t.Helper()
	port, err := network.Open(r.Interface)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = port.Close() }()
	to := vrrp.Group
	if r.Peers != nil {
		to = other
	}
	advert, err := (&vrrp.Packet{
		Version: r.Version, VRID: r.VRID, Priority: r.Priority, Interval: r.Interval, Addresses: r.Addresses,
		Checksum: r.Checksum, Authentication: r.Authentication,
	}).Append(nil, self, to)
	if err != nil {
		t.Fatal(err)
	}
	if r.Peers != nil {
		_, err = port.SendTo(self, []vrrp.Outgoing{{To: other, Message: advert}})
	} else {
		_, err = port.Send(self, [][]byte{advert})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPrivateFiles checks who can read what may hold a password, also where an
// interrupted write left a file that everybody can read.
func TestPrivateFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "will.json")
	if err := os.WriteFile(path+".new", []byte("a longer text that was left\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := statefile.Save(path, will{}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode(); mode != 0o600 {
		t.Errorf("the mode is %v, want that of a file for its owner alone", mode)
	}
	if err := statefile.Load(path, &will{}); err != nil {
		t.Error(err)
	}
}

func TestCleanupIsBoundedWithoutASuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.NewLAN()
		var mu sync.Mutex
		var sent [][]byte
		lan.Tap(func(f vrrptest.Frame) {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, f.Message)
		})
		host, dir := deadNode(t)
		began := time.Now()
		if err := Cleanup(t.Context(), dir, host, lan.Host("lvs1", "eth0", netip.MustParseAddr("192.0.2.1")), quiet()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != vrrp.HandoverBound(time.Second) {
			t.Errorf("cleanup took %v, want the bound of %v", took, vrrp.HandoverBound(time.Second))
		}
		want := vrrp.Will(Routers(pairConfig("lvs1"))[0], netip.MustParseAddr("192.0.2.1"))
		if len(sent) != 1 || !slices.Equal(sent[0], want) || want[2] != 0 {
			t.Errorf("sent %x, want one advert of priority 0, %x", sent, want)
		}
		wantCalls(t, host, "cleanup", "remove 192.0.2.100/24", "restore sysctls")
	})
}

func TestCleanupOfACleanNodeSaysNothingOnTheWire(t *testing.T) {
	lan := vrrptest.NewLAN()
	lan.Tap(func(f vrrptest.Frame) { t.Errorf("sent %x", f.Message) })
	host, dir := deadNode(t)
	host.addresses = host.addresses[:1]
	if err := Cleanup(t.Context(), dir, host, lan.Host("lvs1", "eth0"), quiet()); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, host, "cleanup", "restore sysctls")
}
