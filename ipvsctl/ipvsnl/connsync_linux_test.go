package ipvsnl_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

// openSync opens the table of a new namespace with an interface that has an
// address.
func openSync(t *testing.T) (*ipvsnl.Handle, *testenv.Netns, string) {
	t.Helper()
	h, ns := openKernel(t)
	const ifname = "sync0"
	var err error
	ns.Do(t, func() {
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: ifname}, PeerName: "sync0p"}
		address, _ := netlink.ParseAddr("192.0.2.1/24")
		err = errors.Join(netlink.LinkAdd(link), netlink.AddrAdd(link, address), netlink.LinkSetUp(link))
	})
	if err != nil {
		t.Fatalf("making an interface: %v", err)
	}
	return h, ns, ifname
}

func TestConnectionSyncKeepsTheContractOnTheKernel(t *testing.T) {
	testenv.IPVS(t)
	ipvstest.SyncContract(t, func(t *testing.T) (ipvsctl.SyncHandle, string) {
		h, _, ifname := openSync(t)
		return h, ifname
	})
}

// TestIpvsadmReadsTheDaemons: the port above all, which is in the machine's
// order here and in the network's everywhere else.
func TestIpvsadmReadsTheDaemons(t *testing.T) {
	h, ns, ifname := openSync(t)
	d := ipvsctl.SyncDaemon{Role: ipvsctl.SyncMaster, Interface: ifname, ID: 51, Group: addr("239.1.2.3"), Port: 9000, TTL: 3}
	if err := h.StartSync(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	listed := ipvsadm(t, ns, "", "-l", "--daemon")
	for _, want := range []string{"master sync daemon (mcast=sync0, syncid=51", "group=239.1.2.3", "port=9000", "ttl=3"} {
		if !strings.Contains(listed, want) {
			t.Errorf("ipvsadm lists %q, want %q in it", listed, want)
		}
	}
	ipvsadm(t, ns, "", "--stop-daemon", "master")
	ipvsadm(t, ns, "", "--start-daemon", "backup", "--mcast-interface", ifname, "--syncid", "3", "--mcast-port", "9001")
	live, err := h.SyncDaemons(t.Context())
	if err != nil || len(live) != 1 {
		t.Fatalf("daemons = %v, %v, want the one of ipvsadm", live, err)
	}
	if want := (ipvsctl.SyncDaemon{Role: ipvsctl.SyncBackup, Interface: ifname, ID: 3, Port: 9001}); !live[0].Same(want) {
		t.Errorf("daemon = %+v, want %+v", live[0], want)
	}
	if err := h.StopSync(t.Context(), live[0]); err != nil {
		t.Error(err)
	}
}

// TestADaemonRefusesMixedFamilies: the kernel cannot describe such destinations
// in its messages.
func TestADaemonRefusesMixedFamilies(t *testing.T) {
	h, _, ifname := openSync(t)
	reconcile(t, h, ipvsctl.Table{{
		Key:       ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: addr("2001:db8::1"), Port: 80},
		Scheduler: "rr",
		Dests:     []ipvsctl.Dest{{Key: ipvsctl.DestKey{Address: addr("198.51.100.1"), Port: 80}, Forward: ipvsctl.TUN, Weight: 1}},
	}}, nil)
	err := h.StartSync(t.Context(), ipvsctl.SyncDaemon{Role: ipvsctl.SyncMaster, Interface: ifname})
	if !errors.Is(err, ipvsctl.ErrInvalid) || !strings.Contains(err.Error(), "other address family") {
		t.Errorf("starting = %v, want the reason", err)
	}
}
