package director

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/mark"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

func TestAttributesReachTheTable(t *testing.T) {
	c := pairConfig("lvs1")
	s := &c.Services[0]
	s.Checks, s.Protocol, s.Scheduler, s.Forward, s.Persistence = nil, "udp", "mh", "tun", time.Minute
	s.Attributes = config.Attributes{
		SchedulerFlags: []string{"mh-fallback", "mh-port"}, PersistencePrefix: 24, PersistenceEngine: "sip", OnePacket: true,
		Tunnel: config.Tunnel{Type: "gue", Port: 6080, Checksum: "remote"},
	}
	s.Real = s.Real[:1]
	s.Real[0].Upper, s.Real[0].Lower = 100, 80
	s.Pool.Sorry = &config.Real{Address: s.Real[0].Address.Next(), Weight: 1}
	s.Real[0].Weight = 0 // so that the sorry server serves too
	got := Compute(Inputs{Config: c, Roles: master(), Now: noon}).Table
	wrapped := ipvsctl.Tunnel{Type: ipvsctl.GUE, Port: 6080, Flags: ipvsctl.TunnelRemoteChecksum}
	key := webKey
	key.Protocol = ipvsctl.UDP
	want := ipvsctl.Table{{
		Key: key, Scheduler: "mh", Flags: ipvsctl.SchedFallback | ipvsctl.SchedPort,
		Persistence: time.Minute, PersistencePrefix: 24, Engine: "sip", OnePacket: true,
		Dests: []ipvsctl.Dest{
			{Key: dest("11"), Forward: ipvsctl.TUN, Upper: 100, Lower: 80, Tunnel: wrapped},
			{Key: dest("12"), Forward: ipvsctl.TUN, Weight: 1, Tunnel: wrapped},
		},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("table\n%+v, want\n%+v", got, want)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

func TestTunnelsAndFlagsAsTheKernelHasThem(t *testing.T) {
	for kind, want := range map[string]ipvsctl.TunnelType{"ipip": ipvsctl.IPIP, "gue": ipvsctl.GUE, "gre": ipvsctl.GRE} {
		for checksum, flags := range map[string]ipvsctl.TunnelFlags{"none": 0, "full": ipvsctl.TunnelChecksum, "remote": ipvsctl.TunnelRemoteChecksum} {
			s := config.Service{Forward: "tun", Attributes: config.Attributes{Tunnel: config.Tunnel{Type: kind, Checksum: checksum}}}
			if got := tunnel(s, config.Real{}); got != (ipvsctl.Tunnel{Type: want, Flags: flags}) {
				t.Errorf("%s with checksum %s is %+v", kind, checksum, got)
			}
		}
	}
	for flag, want := range map[string]ipvsctl.SchedFlags{
		"sh-fallback": ipvsctl.SchedFallback, "sh-port": ipvsctl.SchedPort, "mh-fallback": ipvsctl.SchedFallback, "mh-port": ipvsctl.SchedPort,
	} {
		s := config.Service{Attributes: config.Attributes{SchedulerFlags: []string{flag}}}
		if got := schedulerFlags(s); got != want {
			t.Errorf("%s is %v, want %v", flag, got, want)
		}
	}
}

func TestServiceByMark(t *testing.T) {
	c := pairConfig("lvs1")
	s := &c.Services[0]
	s.Checks, s.FWMark = nil, 7
	from := vip.Prefix.Addr()
	s.Listen = []netip.AddrPort{netip.AddrPortFrom(from, 0)}
	s.Marked = []config.Range{{From: from, To: from.Next(), FromPort: 80, ToPort: 89}}
	s.Real = s.Real[:1]
	key := ipvsctl.ServiceKey{FWMark: 7, Family: ipvsctl.IPv4}
	marks := []mark.Rule{{Mark: 7, Protocol: 6, FromPort: 80, ToPort: 89, Addresses: []mark.Span{{From: from, To: from.Next()}}}}

	got := Compute(Inputs{Config: c, Roles: master(), Now: noon})
	want := ipvsctl.Table{{Key: key, Scheduler: "wlc", Dests: []ipvsctl.Dest{
		{Key: ipvsctl.DestKey{Address: s.Real[0].Address}, Forward: ipvsctl.DR, Weight: 1},
	}}}
	if !reflect.DeepEqual(got.Table, want) || !reflect.DeepEqual(got.Marks, marks) {
		t.Errorf("table %+v, marks %+v, want %+v, %+v", got.Table, got.Marks, want, marks)
	}
	if err := got.Table.Validate(); err != nil {
		t.Error(err)
	}
	// As long as the role is open a predecessor's service stays, with its marks.
	open := Compute(Inputs{Config: c, Roles: map[string]Role{"edge": {State: vrrp.Backup}}, Now: noon})
	if !open.Untouched[key] || !reflect.DeepEqual(open.Marks, marks) {
		t.Errorf("undecided: untouched %v, marks %v, want the service and its marks left", open.Untouched, open.Marks)
	}
	backup := Compute(Inputs{Config: c, Roles: map[string]Role{"edge": {State: vrrp.Backup, Decided: true}}, Now: noon})
	if len(backup.Table)+len(backup.Marks) != 0 {
		t.Errorf("a backup has %v and marks %v", backup.Table, backup.Marks)
	}
}

func TestMarksComeAndGoWithTheRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) {
			s := &n.config.Services[0]
			from := vip.Prefix.Addr()
			s.Checks, s.FWMark, s.Listen = nil, 7, []netip.AddrPort{netip.AddrPortFrom(from, 0)}
			s.Marked = []config.Range{{From: from, To: from, FromPort: 80, ToPort: 89}}
		})
		defer n.end()
		settle(election)
		calls := n.host.did()
		service, marks, address, announced := slices.Index(calls, "ipvs adding service fwmark 7 ipv4"), slices.Index(calls, "1 marks"), slices.Index(calls, "add 192.0.2.100/24"), slices.Index(calls, "announce 192.0.2.100")
		if service < 0 || marks < 0 || address < service || address < marks || announced < address {
			t.Errorf("a takeover is %q, want the service and its marks before the address and the announcement", calls)
		}
		if err := n.stopDirector(); err != nil {
			t.Fatal(err)
		}
		if calls = n.host.did(); !slices.Contains(calls, "0 marks") {
			t.Errorf("a stop is %q, want the marks gone", calls)
		}
	})
}
