package doctor

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/vrrp"
)

// interval is what routers of the segment's tests speak at.
const interval = 100 * time.Millisecond

// outlook lets a host look around, which is for a second.
func outlook(host func(*testing.T, string) *ward) func(*testing.T, string) *ward {
	return func(t *testing.T, mode string) *ward {
		w := host(t, mode)
		w.cfg.VRRP[0].Interval = interval
		w.look = func(want facts.Look) *facts.Segment {
			seen := w.lookAround(want, nil)
			seen.Late, seen.Clock = 0, nil // as this machine happens to be
			return seen
		}
		return w
	}
}

// station makes the other end of the cable a machine that has the addresses.
func (w *ward) station(addrs ...string) {
	w.t.Helper()
	var err error
	w.far.Do(w.t, func() {
		var link netlink.Link
		if link, err = netlink.LinkByName("eth0"); err != nil {
			return
		}
		for _, a := range addrs {
			if err = netlink.AddrAdd(link, parse(w.t, a, 0)); err != nil {
				return
			}
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// stationMAC is that of the other end.
func (w *ward) stationMAC() net.HardwareAddr {
	w.t.Helper()
	var mac net.HardwareAddr
	w.far.Do(w.t, func() {
		if link, err := netlink.LinkByName("eth0"); err == nil {
			mac = link.Attrs().HardwareAddr
		}
	})
	return mac
}

// neighbour puts an entry into the ward's neighbour table.
func (w *ward) neighbour(addr string, mac net.HardwareAddr) {
	w.t.Helper()
	w.link("eth0", func(l netlink.Link) error {
		return netlink.NeighSet(&netlink.Neigh{
			LinkIndex: l.Attrs().Index, IP: net.ParseIP(addr), HardwareAddr: mac, State: netlink.NUD_PERMANENT,
		})
	})
}

// otherDirector is an address of the station, in each family.
const (
	otherDirector  = "192.0.2.3"
	otherDirector6 = "fe80::3"
)

// speak has the station send an advert again and again until the test ends.
func (w *ward) speak(source string, change func(*vrrp.Packet)) {
	w.t.Helper()
	p := vrrp.Packet{Version: 3, VRID: 51, Priority: 100, Interval: interval}
	from, group, network := netip.MustParseAddr(source), netip.MustParseAddr("224.0.0.18"), "ip4:112"
	if from.Is6() {
		group, network = netip.MustParseAddr("ff02::12"), "ip6:112"
	}
	for _, v := range w.cfg.VRRP[0].Addresses {
		if v.Addr().Is4() == from.Is4() {
			p.Addresses = append(p.Addresses, v.Addr())
		}
	}
	change(&p)
	message, err := p.Append(nil, from, group)
	if err != nil {
		w.t.Fatal(err)
	}
	own, to := &net.IPAddr{IP: from.AsSlice()}, &net.IPAddr{IP: group.AsSlice()}
	if from.Is6() {
		own.Zone, to.Zone = "eth0", "eth0"
	}
	var conn net.Conn
	w.far.Do(w.t, func() { conn, err = net.DialIP(network, own, to) })
	if err != nil {
		w.t.Fatal(err)
	}
	ticker, ended := time.NewTicker(50*time.Millisecond), make(chan struct{})
	go func() {
		defer close(ended)
		for range ticker.C {
			if _, err := conn.Write(message); err != nil {
				return
			}
		}
	}()
	w.t.Cleanup(func() {
		_ = conn.Close()
		<-ended
		ticker.Stop()
	})
}

func asWeDo(*vrrp.Packet) {}

// otherMaster has the station be master as it should.
func otherMaster(w *ward) {
	w.station(otherDirector+"/24", otherDirector6+"/64", "192.0.2.100/24", "2001:db8::100/64")
	w.speak(otherDirector, asWeDo)
	w.speak(otherDirector6, asWeDo)
}

func TestFaultsOfTheSegmentAreFound(t *testing.T) {
	native(t)
	playAll(t, segmentFaults)
}

var segmentFaults = []fault{
	{"a healthy segment, seen by its backup", outlook(director), "dr", otherMaster, nil, "", ""},
	{"a healthy segment, seen by its master", outlook(master), "dr", func(*ward) {}, nil, "", ""},
	{"a healthy segment, seen by a real server", outlook(realServer), "dr", otherMaster, nil, "", ""},
	{"a healthy segment, seen by the backup of two boxes", outlook(twoBox), "dr", otherMaster, nil, "", ""},
	{
		"a virtual address here and elsewhere", outlook(master), "dr",
		func(w *ward) { w.station(otherDirector+"/24", "192.0.2.100/24") },
		[]string{"duplicate-vip"}, "2 stations have 192.0.2.100", "asked on eth0: this host and ",
	},
	{
		"a virtual address of IPv6 here and elsewhere", outlook(master), "dr",
		func(w *ward) { w.station(otherDirector+"/24", "2001:db8::100/64") },
		[]string{"duplicate-vip"}, "2 stations have 2001:db8::100", "asked on eth0: this host and ",
	},
	{
		"a real server that answers for the virtual address", outlook(director), "dr",
		func(w *ward) {
			w.station("192.0.2.11/24", "192.0.2.100/32", "2001:db8::100/64")
			w.neighbour("192.0.2.11", w.stationMAC())
		},
		[]string{"vip-answered-by-real-server", "vip-answered-by-real-server"}, "real server 192.0.2.11 answers for 192.0.2.100", "(real server 192.0.2.11) answers for 192.0.2.100",
	},
	{
		"nobody has the addresses", outlook(director), "dr", func(*ward) {},
		[]string{"vip-unanswered", "vip-unanswered"}, "nobody has 192.0.2.100", "192.0.2.100 was asked for on eth0 for 1s, and nobody answered",
	},
	{
		"an entry of the neighbour table that is wrong", outlook(bystander), "dr",
		func(w *ward) {
			otherMaster(w)
			w.neighbour("192.0.2.100", net.HardwareAddr{2, 0, 0, 0, 0, 0x99})
		},
		[]string{"neighbour-wrong"}, "this host looks for 192.0.2.100 at the wrong station", "the neighbour table has 02:00:00:00:00:99, and ",
	},
	{
		"an entry of the neighbour table of IPv6 that is wrong", outlook(bystander), "dr",
		func(w *ward) {
			otherMaster(w)
			w.neighbour("2001:db8::100", net.HardwareAddr{2, 0, 0, 0, 0, 0x99})
		},
		[]string{"neighbour-wrong"}, "this host looks for 2001:db8::100 at the wrong station", "the neighbour table has 02:00:00:00:00:99, and ",
	},
	{
		"another cluster with our number", outlook(director), "dr",
		func(w *ward) {
			otherMaster(w)
			w.station("192.0.2.4/24")
			w.speak("192.0.2.4", func(p *vrrp.Packet) { p.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.200")} })
		},
		[]string{"vrid-duplicate"}, "192.0.2.4 sends adverts of virtual router 51 with other addresses than edge", "addresses 192.0.2.200; ours are 192.0.2.100",
	},
	{
		"another cluster with our number over IPv6", outlook(director), "dr",
		func(w *ward) {
			otherMaster(w)
			w.station("fe80::4/64")
			w.speak("fe80::4", func(p *vrrp.Packet) { p.Addresses = []netip.Addr{netip.MustParseAddr("2001:db8::200")} })
		},
		[]string{"vrid-duplicate"}, "fe80::4 sends adverts of virtual router 51 with other addresses than edge/ipv6", "addresses 2001:db8::200; ours are 2001:db8::100",
	},
	{
		"a second master", outlook(master), "dr",
		func(w *ward) { w.station(otherDirector + "/24"); w.speak(otherDirector, asWeDo) },
		[]string{"two-masters"}, "edge has 2 masters", "adverts came from this host and 192.0.2.3",
	},
	{
		"a second master over IPv6", outlook(master), "dr",
		func(w *ward) { w.station(otherDirector6 + "/64"); w.speak(otherDirector6, asWeDo) },
		[]string{"two-masters"}, "edge/ipv6 has 2 masters", "adverts came from this host and fe80::3",
	},
	{
		"a master with another interval", outlook(director), "dr",
		func(w *ward) {
			w.station(otherDirector+"/24", "192.0.2.100/24", "2001:db8::100/64")
			w.speak(otherDirector, func(p *vrrp.Packet) { p.Interval = time.Second })
		},
		[]string{"vrrp-mismatch"}, "the adverts of 192.0.2.3 for edge differ from this host's configuration", "every 1s, addresses 192.0.2.100; ours are version 3, every 100ms",
	},
	{
		"other virtual routers", outlook(director), "dr",
		func(w *ward) {
			otherMaster(w)
			w.speak(otherDirector, func(p *vrrp.Packet) { p.VRID = 7 })
		},
		[]string{"vrrp-foreign"}, "other virtual routers speak in this segment: 1", "heard virtual router 7 of 192.0.2.3 on eth0",
	},
}

func TestFaultsOfTheMachineAreFound(t *testing.T) {
	native(t)
	playAll(t, machineFaults)
}

var machineFaults = []fault{{
	"a machine that stops and goes on", outlook(director), "dr",
	func(w *ward) {
		otherMaster(w)
		w.cfg.VRRP[0].Interval = 10 * time.Millisecond
		w.look = func(want facts.Look) *facts.Segment {
			seen := w.lookAround(want, func(p *os.Process) {
				for range 8 {
					for _, signal := range []os.Signal{unix.SIGSTOP, unix.SIGCONT} {
						if err := p.Signal(signal); err != nil {
							w.t.Error(err)
						}
						<-time.After(30 * time.Millisecond)
					}
				}
			})
			seen.Clock = nil
			seen.Adverts = slices.DeleteFunc(seen.Adverts, func(facts.Advert) bool { return true })
			return seen
		}
	},
	[]string{"scheduler-late"}, "this machine runs processes late by more than an interval", "too late; adverts are due every 10ms",
}}
