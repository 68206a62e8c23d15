package ipvstest

import (
	"net/netip"
	"time"

	"github.com/haldir-lb/haldir/ipvsctl"
)

func tcp(s string) ipvsctl.ServiceKey { return key(ipvsctl.TCP, s) }

func key(p ipvsctl.Protocol, s string) ipvsctl.ServiceKey {
	ap := netip.MustParseAddrPort(s)
	return ipvsctl.ServiceKey{Protocol: p, Address: ap.Addr(), Port: ap.Port()}
}

func dest(s string) ipvsctl.DestKey {
	ap := netip.MustParseAddrPort(s)
	return ipvsctl.DestKey{Address: ap.Addr(), Port: ap.Port()}
}

// Everything returns a table that uses every attribute of the kernel's
// interface at least once, and each of them with more than one value.
func Everything() ipvsctl.Table {
	return ipvsctl.Table{
		{Key: tcp("192.0.2.1:80"), Scheduler: "wrr", Dests: []ipvsctl.Dest{
			{Key: dest("198.51.100.1:80"), Forward: ipvsctl.DR, Weight: 1},
			{Key: dest("198.51.100.2:80"), Forward: ipvsctl.TUN, Weight: 0},
			{Key: dest("198.51.100.3:8080"), Forward: ipvsctl.NAT, Weight: 65535, Upper: 1000, Lower: 800},
			{Key: dest("127.0.0.1:80"), Forward: ipvsctl.Local, Weight: 7},
		}},
		{Key: tcp("192.0.2.1:443"), Scheduler: "sh", Flags: ipvsctl.SchedFallback | ipvsctl.SchedPort, Persistence: 5 * time.Minute, PersistencePrefix: 24},
		{Key: tcp("192.0.2.2:0"), Scheduler: "wlc", Persistence: time.Hour, PersistencePrefix: 32, Dests: []ipvsctl.Dest{
			{Key: dest("198.51.100.1:0"), Forward: ipvsctl.DR, Weight: 1},
		}},
		{Key: key(ipvsctl.UDP, "192.0.2.1:53"), Scheduler: "rr", OnePacket: true, Dests: []ipvsctl.Dest{
			{Key: dest("198.51.100.1:53"), Forward: ipvsctl.NAT, Weight: 3},
		}},
		{Key: key(ipvsctl.UDP, "192.0.2.1:5060"), Scheduler: "rr", Persistence: time.Minute, PersistencePrefix: 32, Engine: "sip"},
		{Key: key(ipvsctl.SCTP, "192.0.2.1:3868"), Scheduler: "lc", Dests: []ipvsctl.Dest{
			{Key: dest("198.51.100.1:3868"), Forward: ipvsctl.NAT, Weight: 1, Upper: 10},
		}},
		{Key: tcp("[2001:db8::1]:80"), Scheduler: "mh", Flags: ipvsctl.SchedPort, Persistence: 30 * time.Second, PersistencePrefix: 64, Dests: []ipvsctl.Dest{
			{Key: dest("[2001:db8:1::1]:80"), Forward: ipvsctl.DR, Weight: 1},
			{Key: dest("198.51.100.4:80"), Forward: ipvsctl.TUN, Weight: 1, Tunnel: ipvsctl.Tunnel{
				Type: ipvsctl.GUE, Port: 6080, Flags: ipvsctl.TunnelRemoteChecksum}},
			{Key: dest("[2001:db8:1::2]:80"), Forward: ipvsctl.TUN, Weight: 1, Tunnel: ipvsctl.Tunnel{
				Type: ipvsctl.GUE, Port: 5555, Flags: ipvsctl.TunnelChecksum}},
			{Key: dest("[2001:db8:1::3]:80"), Forward: ipvsctl.TUN, Weight: 1, Tunnel: ipvsctl.Tunnel{
				Type: ipvsctl.GRE, Flags: ipvsctl.TunnelChecksum}},
		}},
		{Key: ipvsctl.ServiceKey{FWMark: 7, Family: ipvsctl.IPv4}, Scheduler: "wlc", Dests: []ipvsctl.Dest{
			{Key: dest("198.51.100.1:0"), Forward: ipvsctl.DR, Weight: 1},
			{Key: dest("198.51.100.2:8443"), Forward: ipvsctl.NAT, Weight: 1},
		}},
		{Key: ipvsctl.ServiceKey{FWMark: 7, Family: ipvsctl.IPv6}, Scheduler: "sh", Flags: ipvsctl.SchedFallback, Persistence: 10 * time.Second, PersistencePrefix: 128},
		{Key: ipvsctl.ServiceKey{FWMark: 1<<32 - 1, Family: ipvsctl.IPv4}, Scheduler: "nq", OnePacket: true},
	}
}

// Pools returns n services with m destinations each, n below 2^24 and m below
// 256.
func Pools(n, m int) ipvsctl.Table {
	table := make(ipvsctl.Table, n)
	for i := range table {
		address := netip.AddrFrom4([4]byte{10, byte((i + 1) >> 16), byte((i + 1) >> 8), byte(i + 1)})
		table[i] = ipvsctl.Service{Key: ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: address, Port: 80}, Scheduler: "wrr"}
		for j := range m {
			table[i].Dests = append(table[i].Dests, ipvsctl.Dest{Key: ipvsctl.DestKey{
				Address: netip.AddrFrom4([4]byte{198, 51, 100, byte(j + 1)}), Port: 80}, Weight: uint32(m + j)})
		}
	}
	return table
}
