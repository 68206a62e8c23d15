package doctor

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
)

// balancer is a director whose kernel has the services, persistent ones, and no
// daemon that would put right what the tests make wrong.
func balancer(t *testing.T, mode string) *ward {
	w := director(t, mode)
	w.status = nil
	forward := map[string]ipvsctl.Forward{"dr": ipvsctl.DR, "nat": ipvsctl.NAT, "tun": ipvsctl.TUN}[mode]
	for _, listen := range w.cfg.Services[0].Listen {
		for _, real := range w.cfg.Services[0].At(listen).Real {
			w.balance(forward, listen, netip.AddrPortFrom(real.Address, listen.Port()))
		}
	}
	for _, key := range []string{"expire_nodest_conn", "expire_quiescent_template", "conn_reuse_mode"} {
		w.sysctl("net/ipv4/vs/"+key, "1")
	}
	return w
}

// kernelDo runs fn with the IPVS of the ward.
func (w *ward) kernelDo(fn func(*ipvsnl.Handle) error) {
	w.t.Helper()
	w.do(func() error {
		handle, err := ipvsnl.Open()
		if err != nil {
			return err
		}
		defer func() { _ = handle.Close() }()
		return fn(handle)
	})
}

// balance puts a service with one real server into the kernel.
func (w *ward) balance(forward ipvsctl.Forward, at, to netip.AddrPort) {
	w.t.Helper()
	w.kernelDo(func(handle *ipvsnl.Handle) error {
		service := ipvsctl.Service{
			Key:       ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: at.Addr(), Port: at.Port()},
			Scheduler: ipvsctl.DefaultScheduler, Persistence: time.Minute,
		}
		return errors.Join(handle.Apply(w.t.Context(), []ipvsctl.Op{
			{Kind: ipvsctl.AddService, Service: service},
			{Kind: ipvsctl.AddDest, Service: service, Dest: ipvsctl.Dest{Key: ipvsctl.DestKey{Address: to.Addr(), Port: to.Port()}, Forward: forward, Weight: 1}},
		})...)
	})
}

// wrapped is a real server with a tunnel, and segments that fit.
func wrapped(t *testing.T, mode string) *ward {
	w := realServer(t, mode)
	w.mss(1436)
	device := netif.DeviceIPIP
	if mode == "gre" {
		device = netif.DeviceGRE
	}
	w.without("lo", "192.0.2.100/32")
	w.do(func() error { return netif.EnsureTunnel(w.t.Context(), device, 0) })
	w.sysctl("net/ipv4/conf/"+device+"/rp_filter", "2")
	w.address(device, "192.0.2.100/32")
	return w
}

// clocked looks at the clock alone.
func clocked(host func(*testing.T, string) *ward) func(*testing.T, string) *ward {
	return func(t *testing.T, mode string) *ward {
		w := host(t, mode)
		w.look = func(facts.Look) *facts.Segment {
			seen := facts.LookAround(t.Context(), facts.Look{For: time.Millisecond})
			seen.Late = 0
			return seen
		}
		return w
	}
}

// clock sets the state of the machine's clock, which nobody else does here.
func clock(status int32) func(*ward) {
	return func(w *ward) {
		const modes = unix.ADJ_STATUS | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR
		if _, err := unix.Adjtimex(&unix.Timex{Modes: modes, Status: status}); err != nil {
			w.t.Error(err)
		}
	}
}

// first runs fn in the machine's first namespace, whose limits some are.
func (w *ward) first(fn func() error) {
	w.t.Helper()
	w.do(func() error { // on a thread that is thrown away
		ns, err := netns.GetFromPid(1)
		if err != nil {
			return err
		}
		defer func() { _ = ns.Close() }()
		if err := netns.Set(ns); err != nil {
			return err
		}
		return fn()
	})
}

// tracked has the kernel track connections of the ward, of which it may track ten.
func tracked(connections int) func(*ward) {
	return func(w *ward) {
		const limit = "net/netfilter/nf_conntrack_max"
		w.first(func() error {
			before, err := netif.ReadSysctl(limit)
			if err != nil {
				return err
			}
			w.t.Cleanup(func() { w.first(func() error { return netif.WriteSysctl(limit, before) }) })
			return netif.WriteSysctl(limit, "10")
		})
		w.do(func() error {
			for i := range connections {
				client, server := net.IPv4(198, 51, 100, 1), net.IPv4(192, 0, 2, 100)
				port := uint16(40000 + i)
				err := netlink.ConntrackCreate(netlink.ConntrackTable, netlink.FAMILY_V4, &netlink.ConntrackFlow{
					FamilyType: netlink.FAMILY_V4, TimeOut: 1000,
					Forward: netlink.IPTuple{SrcIP: client, DstIP: server, SrcPort: port, DstPort: 53, Protocol: unix.IPPROTO_UDP},
					Reverse: netlink.IPTuple{SrcIP: server, DstIP: client, SrcPort: 53, DstPort: port, Protocol: unix.IPPROTO_UDP},
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func set(path, value string) func(*ward) { return func(w *ward) { w.sysctl(path, value) } }

// ipvsFaults need a kernel with IPVS and tunnels, and one that is the tests' own.
var ipvsFaults = []fault{
	{"a healthy balancer", clocked(balancer), "dr", clock(0), nil, "", ""},
	{"a healthy balancer by NAT", balancer, "nat", func(*ward) {}, nil, "", ""},
	{
		"connections to what is gone stay", balancer, "dr", set("net/ipv4/vs/expire_nodest_conn", "0"),
		[]string{"expire-nodest"}, "connections to real servers that are gone do not end", "net.ipv4.vs.expire_nodest_conn = 0",
	},
	{
		"a port that is used again stays", balancer, "dr", set("net/ipv4/vs/conn_reuse_mode", "0"),
		[]string{"conn-reuse"}, "a port that is used again keeps its old real server", "net.ipv4.vs.conn_reuse_mode = 0",
	},
	{
		"persistence outlasts a weight", balancer, "dr", set("net/ipv4/vs/expire_quiescent_template", "0"),
		[]string{"expire-quiescent"}, "persistence outlasts a real server's weight", "net.ipv4.vs.expire_quiescent_template = 0",
	},
	{
		"DR to another port", balancer, "dr",
		func(w *ward) {
			w.balance(ipvsctl.DR, netip.MustParseAddrPort("[2001:db8::99]:80"), netip.MustParseAddrPort("[2001:db8::11]:8080"))
		},
		[]string{"port-mismatch"}, "tcp [2001:db8::99]:80 is to reach port 8080 of 2001:db8::11, which dr cannot do", "the IPVS table has tcp [2001:db8::99]:80",
	},
	{"room for more connections", balancer, "nat", tracked(7), nil, "", ""},
	{
		"hardly room for more connections", balancer, "nat", tracked(8),
		[]string{"conntrack-full"}, "the kernel tracks 8 connections, 80 % of what it may", "nf_conntrack_count = 8 of nf_conntrack_max = 10",
	},
	{
		"a clock that nobody sets", clocked(director), "dr", clock(unix.STA_UNSYNC),
		[]string{"clock-unsynchronised"}, "the clock is not synchronised", "STA_UNSYNC",
	},
	{"connections told as configured", told(51), "dr", func(*ward) {}, nil, "", ""},
	{
		"connections told to another pair", told(52), "dr", func(*ward) {},
		[]string{"sync-daemon", "sync-daemon"}, "the kernel does not synchronise connections as configured",
		"the master daemon has interface eth0, id 52, group 224.0.0.81, port 8848; the configuration says interface eth0, id 51,",
	},
	{"a stateless service", stateless, "dr", set("net/ipv4/vs/sloppy_tcp", "1"), nil, "", ""},
	{
		"a stateless service, and first packets alone are scheduled", stateless, "dr", set("net/ipv4/vs/sloppy_tcp", "0"),
		[]string{"sloppy-off"}, "service web is stateless, and the kernel schedules first packets alone", "net.ipv4.vs.sloppy_tcp = 0",
	},
	{"a healthy tunnel", wrapped, "tun", func(*ward) {}, nil, "", ""},
	{"a healthy tunnel by GRE", wrapped, "gre", func(*ward) {}, nil, "", ""},
	{
		"a tunnel with a strict reverse path filter", wrapped, "tun", set("net/ipv4/conf/tunl0/rp_filter", "1"),
		[]string{"rp-filter-tunnel"}, "rp_filter is strict on tunl0, by which packets for 192.0.2.100 come", "net.ipv4.conf.tunl0.rp_filter = 1",
	},
	{
		"a tunnel that is down", wrapped, "tun", func(w *ward) { w.link("tunl0", netlink.LinkSetDown) },
		[]string{"tunnel-missing"}, "this real server of TUN service web has no tunnel", "",
	},
}

// They are played one after another: clock and limits are the machine's.
func TestFaultsOfIPVSAreFound(t *testing.T) {
	testenv.IPVS(t)
	if !testenv.Required("ipvs") {
		t.Skip("it sets the clock and limits of the machine: tested in the guest")
	}
	for _, f := range ipvsFaults {
		t.Run(f.name, f.play)
	}
}
