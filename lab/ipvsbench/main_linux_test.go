package ipvsbench

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// during lets time pass.
func during(d time.Duration) { <-time.After(d) }

// bulkNetns is a namespace with a link that has an address.
func bulkNetns(b *testing.B) *testenv.Netns {
	b.Helper()
	testenv.IPVS(b)
	ns := testenv.NewNetns(b)
	var errs []error
	ns.Do(b, func() {
		errs = append(errs, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "lan"}, PeerName: "peer"}))
		for _, name := range []string{"lan", "peer"} {
			link, err := netlink.LinkByName(name)
			if err == nil {
				err = netlink.LinkSetUp(link)
			}
			errs = append(errs, err)
			if name == "lan" && err == nil {
				address, _ := netlink.ParseAddr("192.0.2.1/24")
				errs = append(errs, netlink.AddrAdd(link, address))
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	return ns
}

// await polls a service of the kernel.
func await(b *testing.B, h *ipvsnl.Handle, key ipvsctl.ServiceKey, ready func(ipvsctl.LiveService) bool) {
	b.Helper()
	bound := time.Now().Add(3 * time.Minute)
	for {
		live, err := h.ReadServices(b.Context(), []ipvsctl.ServiceKey{key})
		if err != nil {
			b.Fatal(err)
		}
		if len(live) == 1 && ready(live[0]) {
			return
		}
		if time.Now().After(bound) {
			b.Fatalf("%v is not in the kernel: %+v", key, live)
		}
		during(5 * time.Millisecond)
	}
}
