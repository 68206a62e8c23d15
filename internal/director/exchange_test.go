package director

import (
	"net/netip"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/vrrp"
)

// In a pair of two machines each director is a real server too. While both may
// have the entries, neither sends new connections to the other.
func TestDirectorsThatServeRestWhileTheRoleIsExchanged(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	own, peer, third := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3"), netip.MustParseAddr("192.0.2.11")
	listen := netip.MustParseAddrPort("192.0.2.100:80")
	pool := func(reals ...netip.Addr) *config.Config {
		c := &config.Config{
			VRRP: []config.VRRP{{Name: "edge", Priority: 100, Interval: time.Second}},
			Services: []config.Service{{Name: "web", VRRP: "edge", Protocol: "tcp", Forward: "dr", Scheduler: "rr",
				Listen: []netip.AddrPort{listen}, Pool: config.Pool{Quorum: 1}}},
		}
		for _, r := range reals {
			c.Services[0].Real = append(c.Services[0].Real, config.Real{Address: r, Weight: 5})
		}
		return c
	}
	always := func(c *config.Config) *config.Config {
		c.Services[0].LoadAlways = true
		return c
	}
	since := func(d time.Duration) Role { return Role{State: vrrp.Master, Since: now.Add(-d), Decided: true} }
	for _, tt := range []struct {
		name   string
		config *config.Config
		role   Role
		peers  []netip.Addr
		want   map[netip.Addr]uint32
		next   time.Time
	}{
		{"a new master", pool(own, peer, third), since(time.Second), []netip.Addr{peer},
			map[netip.Addr]uint32{own: 5, peer: 0, third: 5}, now.Add(4 * time.Second)},
		{"after the exchange", pool(own, peer, third), since(5 * time.Second), []netip.Addr{peer},
			map[netip.Addr]uint32{own: 5, peer: 5, third: 5}, time.Time{}},
		{"where both have the entries always", always(pool(own, peer)), since(time.Hour), []netip.Addr{peer},
			map[netip.Addr]uint32{own: 5, peer: 0}, time.Time{}},
		{"one that leaves", pool(own, peer), Role{State: vrrp.Leaving, Decided: true}, []netip.Addr{peer},
			map[netip.Addr]uint32{own: 5, peer: 0}, now.Add(time.Second)},
		{"one that yields", pool(own, peer), Role{State: vrrp.Backup, Yielding: true, Decided: true}, []netip.Addr{peer},
			map[netip.Addr]uint32{own: 5, peer: 0}, now.Add(time.Second)},
		{"no other one to serve", pool(peer), since(0), []netip.Addr{peer},
			map[netip.Addr]uint32{peer: 5}, now.Add(5 * time.Second)},
		{"no other director", pool(own, peer), since(0), nil,
			map[netip.Addr]uint32{own: 5, peer: 5}, time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Compute(Inputs{Config: tt.config, Roles: map[string]Role{"edge": tt.role}, Now: now, Directors: tt.peers})
			if len(got.Table) != 1 || len(got.Table[0].Dests) != len(tt.want) {
				t.Fatalf("table %+v, want a service with %d destinations", got.Table, len(tt.want))
			}
			for _, d := range got.Table[0].Dests {
				if want := tt.want[d.Key.Address]; d.Weight != want {
					t.Errorf("weight of %s = %d, want %d", d.Key.Address, d.Weight, want)
				}
			}
			if !got.Next.Equal(tt.next) {
				t.Errorf("next = %v, want %v", got.Next, tt.next)
			}
		})
	}
}
