package ipvsctl_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

var comparer = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

func TestCanonicalFillsInAndSorts(t *testing.T) {
	table := ipvsctl.Table{
		{Key: tcp("192.0.2.2:80"), Persistence: time.Minute},
		{Key: tcp("[2001:db8::1]:80"), Persistence: time.Minute},
		{Key: tcp("[::ffff:192.0.2.1]:80"), Scheduler: "rr", PersistencePrefix: 24, Dests: []ipvsctl.Dest{
			{Key: destKey("198.51.100.2:0")},
			{Key: destKey("[::ffff:198.51.100.1]:80")},
		}},
	}
	given := slices.Clone(table)
	want := ipvsctl.Table{
		{Key: tcp("192.0.2.1:80"), Scheduler: "rr", Dests: []ipvsctl.Dest{
			{Key: destKey("198.51.100.1:80")},
			{Key: destKey("198.51.100.2:80")},
		}},
		{Key: tcp("192.0.2.2:80"), Scheduler: "wlc", Persistence: time.Minute, PersistencePrefix: 32},
		{Key: tcp("[2001:db8::1]:80"), Scheduler: "wlc", Persistence: time.Minute, PersistencePrefix: 128},
	}
	got := table.Canonical()
	if diff := cmp.Diff(want, got, comparer); diff != "" {
		t.Errorf("unexpected canonical form (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(given, table, comparer); diff != "" {
		t.Errorf("Canonical changed its receiver (-before +after):\n%s", diff)
	}
	if again := got.Canonical(); &again[0] != &got[0] {
		t.Error("Canonical copied a table that was canonical already")
	}
}

func TestValidate(t *testing.T) {
	service := func(change func(*ipvsctl.Service)) ipvsctl.Service {
		s := ipvsctl.Service{Key: tcp("192.0.2.1:80"), Scheduler: "rr"}
		change(&s)
		return s
	}
	dest := func(change func(*ipvsctl.Dest)) ipvsctl.Service {
		d := ipvsctl.Dest{Key: destKey("198.51.100.1:80"), Weight: 1}
		change(&d)
		return ipvsctl.Service{Key: tcp("192.0.2.1:80"), Dests: []ipvsctl.Dest{d}}
	}
	const (
		in  = "service tcp 192.0.2.1:80: "
		inD = in + "destination 198.51.100.1:80: "
	)
	for want, s := range map[string]ipvsctl.Service{
		"service fwmark 7 family 0: a firewall mark needs the family ipv4 or ipv6":                                                   {Key: ipvsctl.ServiceKey{FWMark: 7}},
		"service fwmark 7 ipv4: has both a firewall mark and a protocol, an address or a port":                                       {Key: ipvsctl.ServiceKey{FWMark: 7, Family: ipvsctl.IPv4, Port: 80}},
		"service tcp invalid AddrPort: has no address":                                                                               {Key: ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Port: 80}},
		"service protocol 47 192.0.2.1:80: protocol 47 is not one of tcp, udp, sctp":                                                 {Key: key(47, "192.0.2.1:80")},
		"service tcp 224.0.0.18:80: address 224.0.0.18 is not a unicast address":                                                     {Key: tcp("224.0.0.18:80")},
		"service tcp 255.255.255.255:80: address 255.255.255.255 is not a unicast address":                                           {Key: tcp("255.255.255.255:80")},
		"service tcp [fe80::1%eth0]:80: address fe80::1%eth0 has a zone, which ipvs does not know":                                   {Key: tcp("[fe80::1%eth0]:80")},
		"service tcp 192.0.2.1:0: port 0, which stands for every port, needs persistence":                                            {Key: tcp("192.0.2.1:0")},
		in + "states a family, which only a firewall mark needs":                                                                     service(func(s *ipvsctl.Service) { s.Key.Family = ipvsctl.IPv4 }),
		in + `scheduler "sixteen-bytes-it" is longer than 15 bytes`:                                                                  service(func(s *ipvsctl.Service) { s.Scheduler = "sixteen-bytes-it" }),
		in + `scheduler "r r" may contain only a-z, 0-9, _ and -`:                                                                    service(func(s *ipvsctl.Service) { s.Scheduler = "r r" }),
		in + `scheduler rr has no flags, so "flag-1" would have no effect`:                                                           service(func(s *ipvsctl.Service) { s.Flags = ipvsctl.SchedFlag1 }),
		in + `scheduler flags "flag-4" are unknown to the kernel`:                                                                    service(func(s *ipvsctl.Service) { s.Scheduler, s.Flags = "mh", 8 }),
		in + `persistence engine "sip" needs persistence`:                                                                            service(func(s *ipvsctl.Service) { s.Engine = "sip" }),
		in + "persistence 1.5s is not a number of whole seconds from 1s to 31 days":                                                  service(func(s *ipvsctl.Service) { s.Persistence = 1500 * time.Millisecond }),
		in + "persistence 768h0m0s is not a number of whole seconds from 1s to 31 days":                                              service(func(s *ipvsctl.Service) { s.Persistence = 32 * 24 * time.Hour }),
		in + "persistence prefix 33 is longer than 32":                                                                               service(func(s *ipvsctl.Service) { s.Persistence, s.PersistencePrefix = time.Minute, 33 }),
		in + "one-packet scheduling works with udp and firewall marks, not with tcp":                                                 service(func(s *ipvsctl.Service) { s.OnePacket = true }),
		inD + "weight 65536 is above 65535":                                                                                          dest(func(d *ipvsctl.Dest) { d.Weight = 65536 }),
		inD + "lower threshold 6 is above the upper threshold 5":                                                                     dest(func(d *ipvsctl.Dest) { d.Upper, d.Lower = 5, 6 }),
		inD + "forwarding method 9 is not one of dr, tun, nat, local":                                                                dest(func(d *ipvsctl.Dest) { d.Forward = 9 }),
		inD + "tunnel options have no effect with forwarding by dr":                                                                  dest(func(d *ipvsctl.Dest) { d.Tunnel.Type = ipvsctl.GUE }),
		inD + "tunnel type gue needs a port":                                                                                         dest(func(d *ipvsctl.Dest) { d.Forward, d.Tunnel.Type = ipvsctl.TUN, ipvsctl.GUE }),
		inD + "tunnel type gre has no port":                                                                                          dest(func(d *ipvsctl.Dest) { d.Forward, d.Tunnel = ipvsctl.TUN, ipvsctl.Tunnel{Type: ipvsctl.GRE, Port: 9} }),
		inD + "tunnel type 3 is not one of ipip, gue, gre":                                                                           dest(func(d *ipvsctl.Dest) { d.Forward, d.Tunnel.Type = ipvsctl.TUN, 3 }),
		inD + "tunnel type gre does not have the flags 0x2":                                                                          dest(func(d *ipvsctl.Dest) { d.Forward, d.Tunnel = ipvsctl.TUN, ipvsctl.Tunnel{Type: ipvsctl.GRE, Flags: 2} }),
		in + "destination 198.51.100.1:8080: forwarding by dr keeps the packet's port, so the destination's cannot be other than 80": dest(func(d *ipvsctl.Dest) { d.Key.Port = 8080 }),
		in + "destination [2001:db8::5]:80: an ipv6 destination in an ipv4 service needs forwarding by tunnel, not dr":               dest(func(d *ipvsctl.Dest) { d.Key = destKey("[2001:db8::5]:80") }),
		in + "destination 0.0.0.0:80: address 0.0.0.0 is not a unicast address":                                                      dest(func(d *ipvsctl.Dest) { d.Key = destKey("0.0.0.0:80") }),
	} {
		err := ipvsctl.Table{s}.Validate()
		if err == nil || err.Error() != want {
			t.Errorf("Validate = %v, want %s", err, want)
		}
	}
}

func TestValidateReportsEverythingInOrder(t *testing.T) {
	d := ipvsctl.Dest{Key: destKey("198.51.100.1:80"), Weight: 70000}
	err := ipvsctl.Table{
		{Key: tcp("192.0.2.2:80"), Dests: []ipvsctl.Dest{d, d}},
		{Key: tcp("192.0.2.1:80")},
		{Key: tcp("192.0.2.1:80")},
	}.Validate()
	want := []string{
		"service tcp 192.0.2.2:80: destination 198.51.100.1:80: weight 70000 is above 65535",
		"service tcp 192.0.2.2:80: destination 198.51.100.1:80: is in the service twice",
		"service tcp 192.0.2.2:80: destination 198.51.100.1:80: weight 70000 is above 65535",
		"service tcp 192.0.2.1:80: is in the table twice",
	}
	if err == nil {
		t.Fatal("Validate found nothing")
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("unexpected errors (-want +got):\n%s", diff)
	}
}

func TestLiveTableFind(t *testing.T) {
	live := liveOf(ipvstest.Pools(3, 1))
	if s, ok := live.Find(live[1].Key); !ok || s.Key != live[1].Key {
		t.Errorf("Find(%v) = %v, %v", live[1].Key, s.Key, ok)
	}
	if s, ok := live.Find(tcp("203.0.113.1:80")); ok {
		t.Errorf("Find of what is not there = %v", s)
	}
}

// liveOf is the table as a kernel without traffic would hold it.
func liveOf(table ipvsctl.Table) ipvsctl.LiveTable {
	var live ipvsctl.LiveTable
	for _, s := range table.Canonical() {
		l := ipvsctl.LiveService{Service: s}
		l.Service.Dests = nil
		for _, d := range s.Dests {
			l.Dests = append(l.Dests, ipvsctl.LiveDest{Dest: d})
		}
		live = append(live, l)
	}
	return live
}
