package mark

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// TestPacketsOfIPv6AreMarked sends datagrams over lo to addresses and ports within
// and beside a rule of both families, and takes that of one family away.
func TestPacketsOfIPv6AreMarked(t *testing.T) {
	testenv.Root(t)
	testenv.NewNetns(t).Do(t, func() {
		_, ours, err := net.ParseCIDR("fd00::/64")
		must(t, err)
		lo, err := netlink.LinkByName("lo")
		must(t, err)
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: ours, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL}))
		conn, err := nftables.New()
		must(t, err)
		four := Rule{Mark: 7, Protocol: unix.IPPROTO_UDP, FromPort: 5000, ToPort: 5009, Addresses: []Span{span("127.0.0.10", "127.0.0.19")}}
		both := four
		both.Addresses = append([]Span{span("fd00::10", "fd00::19")}, four.Addresses...)
		set(t, true, both)
		set(t, false, both)
		marked := foreignOf(t, conn, nftables.TableFamilyIPv6, 7)
		send := func(host, port string) uint64 {
			before := marked()
			l, err := net.ListenPacket("udp6", ":"+port)
			must(t, err)
			defer l.Close()
			c, err := net.Dial("udp6", net.JoinHostPort(host, port))
			must(t, err)
			defer c.Close()
			_, err = c.Write([]byte("x"))
			must(t, err)
			must(t, l.SetReadDeadline(time.Now().Add(20*time.Second)))
			_, _, err = l.ReadFrom(make([]byte, 8))
			must(t, err)
			return marked() - before
		}
		for _, c := range []struct {
			host, port string
			want       uint64
		}{
			{"fd00::10", "5000", 1}, {"fd00::19", "5009", 1},
			{"fd00::f", "5000", 0}, {"fd00::1a", "5000", 0}, {"fd00::10", "4999", 0}, {"fd00::10", "5010", 0},
		} {
			if got := send(c.host, c.port); got != c.want {
				t.Errorf("%d packets to %s port %s were marked, want %d", got, c.host, c.port, c.want)
			}
		}
		set(t, true, four)
		set(t, false, four)
		if got := send("fd00::10", "5000"); got != 0 {
			t.Error("packets of IPv6 are marked by a rule of IPv4")
		}
		set(t, true)
	})
}

func TestAKernelWithoutNftablesIsNamed(t *testing.T) {
	err := explain(fmt.Errorf("listing: %w", unix.EPROTONOSUPPORT))
	if !errors.Is(err, unix.EPROTONOSUPPORT) || !strings.Contains(err.Error(), "modprobe nf_tables") {
		t.Errorf("explain = %v, want the module and the cause", err)
	}
	if err := explain(unix.EPERM); err != unix.EPERM {
		t.Errorf("explain(EPERM) = %v, want it as it is", err)
	}
}
