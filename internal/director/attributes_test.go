package director

import (
	"reflect"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/ipvsctl"
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
			if got := tunnel(s); got != (ipvsctl.Tunnel{Type: want, Flags: flags}) {
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
